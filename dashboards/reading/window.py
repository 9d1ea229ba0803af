"""Windows of the journal: what fits is read whole, of longer ones evenly spaced decisions."""

import sqlite3
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from dashboards.reading.look import LOOK_COLUMNS, Look, look_of
from planner.journal.schema import telling

MOST_LOOKS = 2_000
"""Decisions read of a window; a chart is no wider than that in pixels."""

_AT = "SELECT id, at FROM decisions WHERE at >= ? AND at <= ? ORDER BY at {} LIMIT 1"
_SPACED = f"""
WITH RECURSIVE spaced(id) AS (
  SELECT :first UNION ALL SELECT id + :every FROM spaced WHERE id + :every <= :last)
SELECT {LOOK_COLUMNS} FROM spaced JOIN decisions d ON d.id = spaced.id
JOIN runs r ON r.id = d.run ORDER BY d.id
"""  # noqa: S608 - the columns are a constant
_CHANGES = f"""
SELECT {LOOK_COLUMNS} FROM decisions d JOIN runs r ON r.id = d.run
WHERE d.id BETWEEN ? AND ? AND d.changed ORDER BY d.id DESC LIMIT ?
"""  # noqa: S608 - the columns are a constant


@dataclass(frozen=True, slots=True, kw_only=True)
class Span:
    """The decisions of some time, by their first and last id and wall time."""

    first: int
    last: int
    since: float
    until: float

    @property
    def decisions(self) -> int:
        """How many there are at most; ids have no gaps unless some were deleted."""
        return self.last - self.first + 1


@dataclass(frozen=True, slots=True, kw_only=True)
class Window:
    """The looks of a span, oldest first, of which every *every*-th was read."""

    span: Span
    every: int
    looks: Sequence[Look]

    @property
    def latest(self) -> Look:
        """The last decision of the span."""
        return self.looks[-1]

    @property
    def is_whole(self) -> bool:
        """Whether no decision was left out, so that sums are exact."""
        return self.every == 1


def span(database: sqlite3.Connection, path: Path, *, since: float = 0.0,
         until: float = 1e300) -> Span | None:  # fmt: skip
    """Return the decisions between two wall times; None without any. Raises JournalError."""
    with telling(path):
        first = database.execute(_AT.format("ASC"), (since, until)).fetchone()
        last = database.execute(_AT.format("DESC"), (since, until)).fetchone()
    if first is None or last is None:
        return None
    return Span(first=first["id"], last=last["id"], since=first["at"], until=last["at"])


def window(
    database: sqlite3.Connection, path: Path, within: Span, *, most: int = MOST_LOOKS
) -> Window:
    """Return at most about *most* looks of *within*, the last one always. Raises JournalError."""
    every = max(1, -(-within.decisions // most))
    # Counted from the end, so that the latest is among them and charts do not jump.
    first = within.last - (within.last - within.first) // every * every
    parameters = {"first": first, "every": every, "last": within.last}
    with telling(path):
        rows = database.execute(_SPACED, parameters).fetchall()
    return Window(span=within, every=every, looks=tuple(look_of(row) for row in rows))


def changes(
    database: sqlite3.Connection, path: Path, within: Span, *, most: int = 200
) -> tuple[Look, ...]:
    """Return the decisions of *within* that changed the fleet, newest first, at most *most*.

    Raises JournalError.
    """
    with telling(path):
        rows = database.execute(_CHANGES, (within.first, within.last, most)).fetchall()
    return tuple(look_of(row) for row in rows)
