"""Entries as rows of the tables and back; the values inside are JSON."""

import json
import sqlite3
from collections.abc import Sequence
from typing import TypeVar

from planner.core.encoding import Plain, decoded, encoded
from planner.core.observation import Observation
from planner.core.plan import Plan
from planner.core.state import SCHEMA_VERSION, PolicyState
from planner.errors import ConfigError
from planner.journal.records import Entry, Query, Record, Run

T = TypeVar("T")
Row = Sequence[object]

INSERT_RUN = "INSERT INTO runs (started, mode, sla, config, initial_state) VALUES (?, ?, ?, ?, ?)"
SELECT_RUNS = "SELECT id, started, mode, sla, config, initial_state FROM runs"
INSERT_ENTRY = (
    "INSERT INTO decisions (run, at, changed, observation, plan, outcome, started, draining, note)"
    " VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)"
)
SELECT_RECORDS = (
    "SELECT d.id, d.run, r.mode, r.sla, d.at, d.observation, d.plan, d.outcome, d.started,"
    " d.draining, d.note FROM decisions d JOIN runs r ON r.id = d.run"
)


def run_row(run: Run) -> Row:
    """Return the parameters of INSERT_RUN."""
    state = state_text(run.initial_state)
    return (run.started, run.mode, run.sla, json.dumps(encoded(run.config)), state)


def run_of(row: sqlite3.Row) -> Run:
    """Return the run that SELECT_RUNS found; raises ValueError for a damaged row."""
    return Run(
        id=row["id"],
        started=row["started"],
        mode=row["mode"],
        sla=row["sla"],
        config=json.loads(row["config"]),
        initial_state=state_of(row["initial_state"]),
    )


def state_text(state: PolicyState) -> str:
    """Return *state* as text for a column."""
    return json.dumps(state.to_dict())


def is_of_another_version(text: str) -> bool:
    """Return whether the state *text* was written by a planner with another form of it."""
    plain = json.loads(text)
    return isinstance(plain, dict) and plain.get("schema_version", SCHEMA_VERSION) != SCHEMA_VERSION


def state_of(text: str) -> PolicyState:
    """Return the state that `state_text` wrote; raises ValueError if it is not one."""
    try:
        return PolicyState.from_dict(json.loads(text))
    except ConfigError as error:
        raise ValueError(str(error)) from error


def entry_row(run: int, entry: Entry) -> Row:
    """Return the parameters of INSERT_ENTRY."""
    return (
        run,
        entry.at,
        entry.plan is not None and entry.plan.changes,
        _dumped(entry.observation),
        _dumped(entry.plan),
        entry.outcome,
        json.dumps(entry.started),
        json.dumps(entry.draining),
        entry.note,
    )


def record_of(row: sqlite3.Row) -> Record:
    """Return the record that SELECT_RECORDS found; raises ValueError for a damaged row."""
    entry = Entry(
        at=row["at"],
        observation=_loaded(Observation, row["observation"]),
        plan=_loaded(Plan, row["plan"]),
        outcome=row["outcome"],
        started=tuple(json.loads(row["started"])),
        draining=tuple(json.loads(row["draining"])),
        note=row["note"],
    )
    return Record(id=row["id"], run=row["run"], mode=row["mode"], sla=row["sla"], entry=entry)


def reason_rows(decision: int, plan: Plan | None) -> Sequence[Row]:
    """Return (reason, role, decision), once for each reason that moved or held a role."""
    if plan is None:
        return []
    pairs = {(step.reason, role) for role, d in plan.decisions.items() for step in d.steps}
    return [(reason.value, role.value, decision) for reason, role in sorted(pairs)]


def conditions(query: Query) -> tuple[str, list[object]]:
    """Return the WHERE text of *query* and its parameters."""
    tests: list[tuple[str, object]] = []
    if query.since is not None:
        tests.append(("d.at >= ?", query.since))
    if query.run is not None:
        tests.append(("d.run = ?", query.run))
    if query.mode is not None:
        tests.append(("r.mode = ?", query.mode))
    if query.changed:
        tests.append(("(d.changed = ? OR d.note IS NOT NULL)", 1))
    reasons = {"role": query.role, "reason": query.reason}
    given = {column: value.value for column, value in reasons.items() if value is not None}
    text = [test for test, _ in tests]
    if given:
        columns = " AND ".join(f"{column} = ?" for column in given)
        text.append(f"d.id IN (SELECT decision FROM reasons WHERE {columns})")  # noqa: S608
    return " AND ".join(text) or "1", [*(value for _, value in tests), *given.values()]


def _dumped(value: object) -> str | None:
    return None if value is None else json.dumps(encoded(value))


def _loaded(kind: type[T], text: str | None) -> T | None:
    plain: Plain = None if text is None else json.loads(text)
    return None if plain is None else decoded(kind, plain)
