"""The list of decisions: filtered in SQL by what indexes can answer, newest first."""

import sqlite3
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from dashboards.reading.look import LOOK_COLUMNS, Look, look_of
from dashboards.reading.window import Span
from planner.core.plan import Reason
from planner.core.role import Role
from planner.journal.schema import telling

MOST_LISTED = 200
MOST_SEARCHED = 100_000
"""Decisions that are looked through for changes, which no index knows; six days of them."""

_BY_REASON = "SELECT decision FROM reasons WHERE reason = ? AND role = ?{} LIMIT ?"
_REASONS = "SELECT decision, role, reason FROM reasons WHERE decision IN ({})"


@dataclass(frozen=True, slots=True, kw_only=True)
class Filter:
    """Which decisions to list; what is left out does not restrict."""

    role: Role | None = None
    reason: Reason | None = None
    changed: bool = False
    """Only those that differed from the fleet, or that have a note."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Listed:
    """A decision in the list, with its reasons by role and what became of it."""

    look: Look
    outcome: str | None
    note: str | None
    reasons: Sequence[tuple[Role, Reason]]


def listing(
    database: sqlite3.Connection,
    path: Path,
    within: Span,
    *,
    chosen: Filter,
    most: int = MOST_LISTED,
) -> list[Listed]:
    """Return the newest decisions of *within* that *chosen* lets through; raises JournalError."""
    with telling(path):
        ids = _ids(database, within, chosen, most)
        rows = _rows(database, ids)
        reasons = _reasons(database, ids)
    return [
        Listed(
            look=look_of(row),
            outcome=row["outcome"],
            note=row["note"],
            reasons=tuple(reasons.get(row["id"], ())),
        )
        for row in rows
    ]


def _ids(database: sqlite3.Connection, within: Span, chosen: Filter, most: int) -> list[int]:
    if chosen.reason is not None:
        return _ids_by_reason(database, within, chosen, most)
    first = within.first
    tests = []
    if chosen.changed:
        first = max(first, within.last - MOST_SEARCHED)
        tests.append("(d.changed OR d.note IS NOT NULL)")
    if chosen.role is not None:
        first = max(first, within.last - MOST_SEARCHED)
        tests.append("EXISTS (SELECT 1 FROM reasons x WHERE x.decision = d.id AND x.role = ?)")
    roles = () if chosen.role is None else (chosen.role.value,)
    where = "".join(f" AND {test}" for test in tests)
    sql = (
        f"SELECT d.id FROM decisions d WHERE d.id BETWEEN ? AND ?{where} ORDER BY d.id DESC LIMIT ?"  # noqa: S608
    )
    return [row["id"] for row in database.execute(sql, (first, within.last, *roles, most))]


def _ids_by_reason(
    database: sqlite3.Connection, within: Span, chosen: Filter, most: int
) -> list[int]:
    """Return ids out of the index of reasons, which is in order for each reason and role."""
    assert chosen.reason is not None
    roles = [chosen.role] if chosen.role is not None else list(Role)
    changed = (
        " AND EXISTS (SELECT 1 FROM decisions d WHERE d.id = decision"
        " AND (d.changed OR d.note IS NOT NULL))"
        if chosen.changed
        else ""
    )
    sql = _BY_REASON.format(f" AND decision BETWEEN ? AND ?{changed} ORDER BY decision DESC")
    first = max(within.first, within.last - MOST_SEARCHED) if chosen.changed else within.first
    found: set[int] = set()
    for role in roles:
        parameters = (chosen.reason.value, role.value, first, within.last, most)
        found.update(row["decision"] for row in database.execute(sql, parameters))
    return sorted(found, reverse=True)[:most]


def _rows(database: sqlite3.Connection, ids: Sequence[int]) -> list[sqlite3.Row]:
    sql = (
        f"SELECT {LOOK_COLUMNS}, d.outcome, d.note FROM decisions d JOIN runs r ON r.id = d.run"  # noqa: S608
        f" WHERE d.id IN ({','.join('?' * len(ids))}) ORDER BY d.id DESC"
    )
    return database.execute(sql, tuple(ids)).fetchall()


def _reasons(
    database: sqlite3.Connection, ids: Sequence[int]
) -> dict[int, list[tuple[Role, Reason]]]:
    found: dict[int, list[tuple[Role, Reason]]] = {}
    for row in database.execute(_REASONS.format(",".join("?" * len(ids))), tuple(ids)):
        found.setdefault(row["decision"], []).append((Role(row["role"]), Reason(row["reason"])))
    return found
