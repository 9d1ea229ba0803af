"""What went wrong lately, and which replicas were moved by name."""

import json
import sqlite3
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from dashboards.reading.window import Span
from planner.journal.schema import telling

MOST_SEARCHED = 20_000
"""Decisions that are looked through for notes; a day of them."""

_NOTES = (
    "SELECT note, count(*) AS times, min(at) AS first, max(at) AS last FROM decisions"
    " WHERE id BETWEEN ? AND ? AND note IS NOT NULL GROUP BY note ORDER BY max(at) DESC LIMIT 50"
)
_MOVED = (
    "SELECT id, at, started, draining FROM decisions WHERE id BETWEEN ? AND ? AND changed"
    " AND (started != '[]' OR draining != '[]') ORDER BY id DESC LIMIT 20"
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Trouble:
    """A note of the loop, how often it was written, and when; seconds since the epoch."""

    note: str
    times: int
    first: float
    last: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Moved:
    """The replicas that a decision started and began to drain, by name."""

    decision: int
    at: float
    started: Sequence[str]
    draining: Sequence[str]


def troubles(database: sqlite3.Connection, path: Path, within: Span) -> list[Trouble]:
    """Return what the loop noted in *within*, the latest first; raises JournalError."""
    with telling(path):
        rows = database.execute(_NOTES, _ids(within)).fetchall()
    return [
        Trouble(note=row["note"], times=row["times"], first=row["first"], last=row["last"])
        for row in rows
    ]


def moved(database: sqlite3.Connection, path: Path, within: Span) -> list[Moved]:
    """Return which replicas were moved in *within*, the latest first; raises JournalError."""
    with telling(path):
        return [
            Moved(
                decision=row["id"],
                at=row["at"],
                started=tuple(json.loads(row["started"])),
                draining=tuple(json.loads(row["draining"])),
            )
            for row in database.execute(_MOVED, _ids(within))
        ]


def _ids(within: Span) -> tuple[int, int]:
    return max(within.first, within.last - MOST_SEARCHED), within.last
