"""Mooncake traces: one JSON object a line, times in milliseconds, prefix blocks by id."""

import json
import math
from collections.abc import Mapping, Sequence

from planner.traces.rows import Rows
from planner.traces.trace import Trace

_TIME, _INPUT, _OUTPUT = "timestamp", "input_length", "output_length"


def is_mooncake(line: str) -> bool:
    """Return whether *line* opens a JSON object."""
    return line.lstrip().startswith("{")


def read_mooncake(name: str, lines: Sequence[str]) -> Trace:
    """Return the trace in *lines*; raises TraceError for a row that is not one."""
    rows = Rows(name=name)
    for number, line in enumerate(lines, 1):
        if not line or line.isspace():
            continue
        row = _object(rows, number, line)
        rows.line.append(number)
        rows.arrival.append(_milliseconds(rows, number, row) / 1000)
        rows.isl.append(_tokens(rows, number, row, _INPUT))
        rows.osl.append(_tokens(rows, number, row, _OUTPUT))
        rows.hash_ids.append(_hash_ids(rows, number, row))
    return rows.trace(input_name=_INPUT, output_name=_OUTPUT)


def _object(rows: Rows, number: int, line: str) -> Mapping[str, object]:
    try:
        row = json.loads(line)
    except (ValueError, RecursionError) as error:
        rows.reject(number, f"not JSON: {error}")
    if not isinstance(row, dict):
        rows.reject(number, f"{line[:40]!r}: not a JSON object")
    for key in (_TIME, _INPUT, _OUTPUT):
        if key not in row:
            rows.reject(
                number,
                f"no {key}",
                hint="each line needs timestamp (ms), input_length and output_length",
            )
    return row


def _milliseconds(rows: Rows, number: int, row: Mapping[str, object]) -> float:
    value = row[_TIME]
    if isinstance(value, bool) or not isinstance(value, int | float):
        rows.reject(number, f"{_TIME} {value!r}: not a number of milliseconds")
    if not math.isfinite(value) or value < 0:
        rows.reject(number, f"{_TIME} {value!r}: must be a finite number, 0 or more")
    return value


def _tokens(rows: Rows, number: int, row: Mapping[str, object], key: str) -> int:
    value = row[key]
    if isinstance(value, bool) or not isinstance(value, int):
        rows.reject(number, f"{key} {value!r}: not a whole number of tokens")
    return value


def _hash_ids(rows: Rows, number: int, row: Mapping[str, object]) -> tuple[int, ...]:
    value = row.get("hash_ids") or []
    if not isinstance(value, list) or not all(type(i) is int for i in value):
        rows.reject(number, "hash_ids: not a list of whole numbers")
    return tuple(value)
