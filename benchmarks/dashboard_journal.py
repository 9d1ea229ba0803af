"""Writes a journal of many decisions, and measures how long the dashboard takes to read it.

python benchmarks/dashboard_journal.py make FILE [DECISIONS]    decisions of an hour, repeated
python benchmarks/dashboard_journal.py measure FILE             into results/dashboard.json
"""

import json
import os
import sqlite3
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING

from results_file import RESULTS, write

import dashboards
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

if TYPE_CHECKING:
    from streamlit.testing.v1 import AppTest

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


def measure(path: Path) -> dict[str, object]:
    """Return the seconds that each page takes to appear on the journal at *path*.

    The first of each page finds nothing kept from before; files may be in the system's memory.
    """
    from streamlit.testing.v1 import AppTest

    os.environ["PLANNER_JOURNAL"] = str(path)
    views = Path(dashboards.__file__).parent / "views"
    AppTest.from_file(str(views / "what_if.py"), default_timeout=120).run()  # imports everything
    seconds: dict[str, float] = {}
    for time_chosen in ("1h", "24h", "all"):
        page = AppTest.from_file(str(views / "overview.py"), default_timeout=120)
        page.query_params["time"] = time_chosen
        seconds[f"overview, {time_chosen}"] = _timed(page.run)
    page = AppTest.from_file(str(views / "decisions.py"), default_timeout=120)
    page.query_params["time"] = "all"
    seconds["decisions, all"] = _timed(page.run)
    for reason in ("DemandForecast", "ScaleDownStabilized", "Backlog", "GpuBudget"):
        seconds[f"filter reason {reason}"] = _timed(
            page.selectbox(key="reason").set_value(reason).run
        )
    page.selectbox(key="reason").set_value("any").run()
    seconds["filter role decode"] = _timed(page.selectbox(key="role").set_value("decode").run)
    seconds["filter changes"] = _timed(page.toggle(key="changed").set_value(True).run)
    for name in ("forecast", "cost", "health"):
        page = AppTest.from_file(str(views / f"{name}.py"), default_timeout=120)
        seconds[name] = _timed(page.run)
    return {"decisions": _decisions(path), "bytes": path.stat().st_size, "seconds": seconds}


def _timed(run: Callable[[], "AppTest"]) -> float:
    started = time.perf_counter()
    page = run()
    seconds = time.perf_counter() - started
    if page.exception:
        raise SystemExit(f"a page failed: {page.exception}")
    return round(seconds, 3)


def _decisions(path: Path) -> int:
    with Journal.read(path) as journal:
        latest = journal.latest()
        return latest.id if latest else 0


def main() -> None:
    """Do what the command line asks for."""
    match sys.argv[1:]:
        case ["make", path]:
            make(Path(path), decisions=MANY)
        case ["make", path, decisions]:
            make(Path(path), decisions=int(decisions))
        case ["measure", path]:
            figures = measure(Path(path))
            print(json.dumps(figures, indent=2))
            write(RESULTS / "dashboard.json", figures)
        case _:
            raise SystemExit(__doc__)


if __name__ == "__main__":
    main()
