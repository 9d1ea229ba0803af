"""What arrived in each interval of a run, and the fleet that met it: more than a look has."""

import json
import sqlite3
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from dashboards.reading.window import Span
from planner.core.encoding import decoded
from planner.core.observation import Replicas, Traffic
from planner.core.role import Role
from planner.errors import JournalError
from planner.journal.schema import telling

MOST_INTERVALS = 5_000
"""Seven hours of an interval of 5 s; each takes a tenth of a millisecond to read."""

_INTERVALS = (
    "SELECT at, json_extract(observation, '$.traffic') AS traffic,"
    " json_extract(observation, '$.fleet') AS fleet FROM decisions"
    " WHERE run = ? AND id BETWEEN ? AND ? AND observation IS NOT NULL ORDER BY id DESC LIMIT ?"
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Interval:
    """The interval that ended *at*, seconds since the epoch; *traffic* None where it was unread."""

    at: float
    traffic: Traffic | None
    fleet: Mapping[Role, Replicas]


def intervals(
    database: sqlite3.Connection, path: Path, within: Span, *, run: int, most: int = MOST_INTERVALS
) -> list[Interval]:
    """Return the last intervals of *run* in *within*, oldest first; raises JournalError."""
    with telling(path):
        rows = database.execute(_INTERVALS, (run, within.first, within.last, most)).fetchall()
    try:
        return [_interval(row) for row in reversed(rows)]
    except ValueError as error:
        raise JournalError(
            f"{path}: an observation of run {run} is of another version: {error}"
        ) from None


def _interval(row: sqlite3.Row) -> Interval:
    traffic = json.loads(row["traffic"] or "null")
    return Interval(
        at=row["at"],
        traffic=None if traffic is None else decoded(Traffic, traffic),
        fleet={Role(role): decoded(Replicas, it) for role, it in json.loads(row["fleet"]).items()},
    )
