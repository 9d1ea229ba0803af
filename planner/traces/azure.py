"""Azure LLM inference traces: CSV with a header, a wall-clock time and two token counts a row."""

from collections.abc import Sequence
from datetime import UTC, datetime

from planner.traces.rows import Rows
from planner.traces.trace import Trace

_COLUMNS = ("TIMESTAMP", "ContextTokens", "GeneratedTokens")


def is_azure(header: str) -> bool:
    """Return whether *header* names the three columns, in any order, among others or alone."""
    return set(_COLUMNS) <= set(_cells(header))


def read_azure(name: str, lines: Sequence[str]) -> Trace:
    """Return the trace in *lines*; raises TraceError for a row that is not one."""
    rows = Rows(name=name)
    start, header = next((i, _cells(line)) for i, line in enumerate(lines) if line.strip())
    when, context, generated = (header.index(column) for column in _COLUMNS)
    for number, line in enumerate(lines[start + 1 :], start + 2):
        if not line or line.isspace():
            continue
        cells = line.split(",")
        if len(cells) != len(header):
            rows.reject(number, f"{len(cells)} columns: the header has {len(header)}")
        rows.line.append(number)
        rows.arrival.append(_seconds(rows, number, cells[when]))
        rows.isl.append(_tokens(rows, number, _COLUMNS[1], cells[context]))
        rows.osl.append(_tokens(rows, number, _COLUMNS[2], cells[generated]))
    return rows.trace(input_name=_COLUMNS[1], output_name=_COLUMNS[2])


def _cells(line: str) -> list[str]:
    return [cell.strip() for cell in line.split(",")]


def _seconds(rows: Rows, number: int, text: str) -> float:
    # The files carry seven fractional digits; fromisoformat takes them and keeps microseconds.
    try:
        moment = datetime.fromisoformat(text.strip())
    except ValueError:
        rows.reject(
            number,
            f"TIMESTAMP {text[:40]!r}: not a date and time",
            hint="write times such as 2023-11-16 18:15:46.680",
        )
    # Recordings without a time zone are UTC; which one it is matters only if they mix.
    return (moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp()


def _tokens(rows: Rows, number: int, column: str, text: str) -> int:
    try:
        return int(text)
    except ValueError:
        rows.reject(number, f"{column} {text.strip()[:40]!r}: not a whole number of tokens")
