"""Writes a journal of many decisions, and measures how long the dashboard takes to read it.

python benchmarks/dashboard_journal.py make FILE [DECISIONS]    decisions of an hour, repeated
python benchmarks/dashboard_journal.py measure FILE             into results/dashboard.json
"""

import sqlite3
import sys
import time
from collections.abc import Iterator
from dataclasses import replace
from itertools import islice
from pathlib import Path

from planner.core.observation import Observation
from planner.core.plan import Plan
from planner.core.policy import PolicyConfig
from planner.core.sla import Sla
from planner.journal import Entry, Journal, Run
from planner.journal.rows import INSERT_ENTRY, entry_row, reason_rows
from planner.profiles import load_profile
from planner.sim.backtest import Decisions, opening_fleet, scenario
from planner.sim.run import simulate
from planner.traces import sine

INTERVAL_SECONDS = 5.0
MANY = 1_000_000
_BATCH = 10_000


def an_hour() -> tuple[Run, list[tuple[Observation, Plan]]]:
    """Return a run and the decisions of one simulated hour, as the loop would record them."""
    profile = replace(load_profile("llama-3.1-8b-fp8-h200"), gpu_price_per_hour=3.5)
    config = PolicyConfig(sla=Sla(ttft_seconds=0.5, itl_seconds=0.05))
    trace = sine((3000, 300), seed=1)
    fleet = scenario(config, profile, opening_fleet(trace, config, profile))
    decisions = Decisions(config, profile)
    seen: list[Observation] = []
    simulate(trace, fleet, policy=lambda look: (seen.append(look), decisions(look))[1])
    run = Run(
        started=0.0,
        mode="observes",
        sla=str(config.sla),
        config={"policy": config, "profile": profile.to_dict()},
    )
    return run, list(zip(seen, decisions.plans, strict=True))


def make(path: Path, *, decisions: int) -> None:
    """Write a journal of so many *decisions*, the last of them made now."""
    run, hour = an_hour()
    began = time.time() - decisions * INTERVAL_SECONDS
    templates = [_template(observation, plan) for observation, plan in hour]
    with Journal.open(path) as journal:
        number = journal.begin(replace(run, started=began))
    database = sqlite3.connect(path, isolation_level=None)
    rows = _rows(number, templates, began=began, decisions=decisions)
    while _insert(database, rows):
        pass
    database.close()


def _template(observation: Observation, plan: Plan) -> tuple[list[object], list[tuple[str, str]]]:
    outcome = "observed" if plan.changes else "unchanged"
    entry = Entry(at=0.0, observation=observation, plan=plan, outcome=outcome)
    reasons = [(str(reason), str(role)) for reason, role, _ in reason_rows(0, plan)]
    return list(entry_row(0, entry)), reasons


def _rows(
    run: int,
    templates: list[tuple[list[object], list[tuple[str, str]]]],
    *,
    began: float,
    decisions: int,
) -> Iterator[tuple[int, list[object], list[tuple[str, str]]]]:
    for number in range(decisions):
        row, reasons = templates[number % len(templates)]
        yield number + 1, [run, began + number * INTERVAL_SECONDS, *row[2:]], reasons


def _insert(
    database: sqlite3.Connection, rows: Iterator[tuple[int, list[object], list[tuple[str, str]]]]
) -> bool:
    batch = list(islice(rows, _BATCH))
    database.execute("BEGIN")
    database.executemany(INSERT_ENTRY, [row for _, row, _ in batch])
    database.executemany(
        "INSERT INTO reasons (reason, role, decision) VALUES (?, ?, ?)",
        [(*pair, decision) for decision, _, pairs in batch for pair in pairs],
    )
    database.execute("COMMIT")
    return len(batch) == _BATCH


if __name__ == "__main__":
    make(Path(sys.argv[2]), decisions=int(sys.argv[3]) if len(sys.argv) > 3 else MANY)
