"""Loads as people have them: a file, a DataFrame, columns, or rows of an array."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from planner.errors import TraceError
from planner.traces import Trace, open_trace
from planner.traces.rows import Rows

TraceLike = Trace | str | Path | Mapping[str, Any] | npt.NDArray[Any]
"""A trace, its file, columns by name (a dict, or a pandas DataFrame), or an array of rows."""

_COLUMNS = (
    ("arrival_seconds", "isl", "osl"),
    ("TIMESTAMP", "ContextTokens", "GeneratedTokens"),
    ("timestamp", "input_length", "output_length"),
)
"""Names for arrival, prompt and output tokens: ours, Azure's, and Mooncake's (in ms)."""
_UNITS = {"timestamp": 1e-3}
_HINT = f"columns {', '.join(_COLUMNS[0])}, or an array with these three"


def as_trace(load: TraceLike) -> Trace:
    """Return the trace that *load* is.

    A table has columns ``arrival_seconds`` (seconds, or dates and times), ``isl`` and ``osl``
    (tokens), or the names of the Azure and Mooncake formats; an array has these three, one row a
    request. Rows are in order of arrival. Raises TraceError that names the row, counted from 1.
    """
    if isinstance(load, Trace):
        return load
    if isinstance(load, str | Path):
        return open_trace(load)
    name = type(load).__name__
    if isinstance(load, np.ndarray):
        return _from_columns(name, _COLUMNS[0], _split(name, load))
    return _from_columns(name, *_named(name, load))


def _split(name: str, rows: npt.NDArray[Any]) -> list[npt.NDArray[Any]]:
    if rows.ndim != 2 or rows.shape[1] != 3:
        raise TraceError(f"trace {name}: its shape {rows.shape} is not (requests, 3)", hint=_HINT)
    return [rows[:, place] for place in range(3)]


def _named(name: str, table: Mapping[str, Any]) -> tuple[tuple[str, ...], list[npt.NDArray[Any]]]:
    for names in _COLUMNS:
        if all(column in table for column in names):
            return names, [_column(name, column, table[column]) for column in names]
    there = ", ".join(map(str, table))
    raise TraceError(f"trace {name}: no three columns of a trace in {there or 'it'}", hint=_HINT)


def _column(name: str, column: str, values: Any) -> npt.NDArray[Any]:
    """Return *values* as numbers or moments; dates and times come from pandas as objects, too."""
    array = np.asarray(values)
    if array.dtype.kind in "iufM":
        return array
    try:
        return np.asarray(values, dtype="datetime64[ns]")
    except (ValueError, TypeError):
        raise TraceError(
            f"trace {name}: column {column} has neither numbers nor times", hint=_HINT
        ) from None


def _from_columns(name: str, names: tuple[str, ...], columns: list[npt.NDArray[Any]]) -> Trace:
    rows = Rows(name=name)
    lengths = {len(column) for column in columns}
    if len(lengths) > 1:
        raise TraceError(f"trace {name}: columns of {sorted(lengths)} rows", hint=_HINT)
    rows.line.extend(range(1, len(columns[0]) + 1))
    rows.arrival.extend(_seconds(rows, names[0], columns[0]))
    rows.isl.extend(_tokens(rows, names[1], columns[1]))
    rows.osl.extend(_tokens(rows, names[2], columns[2]))
    return rows.trace(input_name=names[1], output_name=names[2])


def _seconds(rows: Rows, name: str, column: npt.NDArray[Any]) -> list[float]:
    if column.dtype.kind == "M":
        missing = np.flatnonzero(np.isnat(column))
        if len(missing):
            rows.reject(int(missing[0]) + 1, f"{name} is missing")
        column = (column - column[:1]) / np.timedelta64(1, "s")
    seconds: list[float] = (column.astype(np.float64) * _UNITS.get(name, 1.0)).tolist()
    _check_finite(rows, name, column)
    return seconds


def _tokens(rows: Rows, name: str, column: npt.NDArray[Any]) -> list[int]:
    if column.dtype.kind == "M":
        rows.reject(1, f"{name} {column[0]}: not a whole number of tokens")
    _check_finite(rows, name, column)
    broken = np.flatnonzero(column != np.floor(column))
    if len(broken):
        place = int(broken[0])
        rows.reject(place + 1, f"{name} {column[place]:g}: not a whole number of tokens")
    tokens: list[int] = column.astype(np.int64).tolist()
    return tokens


def _check_finite(rows: Rows, name: str, column: npt.NDArray[Any]) -> None:
    missing = np.flatnonzero(~np.isfinite(column.astype(np.float64)))
    if len(missing):
        rows.reject(int(missing[0]) + 1, f"{name} is missing")
