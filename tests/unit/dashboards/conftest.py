"""A journal as the loop writes it, of some simulated minutes, for every test of the pages."""

import shutil
import sqlite3
from contextlib import closing
from dataclasses import replace
from pathlib import Path

import pytest

from planner.core.observation import Observation
from planner.core.policy import PolicyConfig
from planner.core.role import Role
from planner.core.sla import Sla
from planner.journal import Entry, Journal, Query, Run
from planner.profiles import load_profile
from planner.sim.backtest import Decisions, opening_fleet, scenario
from planner.sim.run import simulate
from planner.traces import sine

STARTED = 1_790_000_000.0
INTERVAL_SECONDS = 5.0


@pytest.fixture(scope="session")
def filled(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a journal of ten minutes, with a change by name and a failure in it."""
    path = tmp_path_factory.mktemp("journal") / "journal.sqlite"
    # A price, so that what a decision costs is recorded.
    profile = replace(load_profile("llama-3.1-8b-fp8-h200"), gpu_price_per_hour=3.5)
    config = PolicyConfig(sla=Sla(ttft_seconds=0.5, itl_seconds=0.05), interval_seconds=5.0)
    trace = sine((3000, 300), seed=1, low=5.0, high=45.0, period=300.0, duration=600.0)
    decisions, seen = Decisions(config, profile), list[Observation]()

    def policy(observation: Observation) -> dict[Role, int]:
        seen.append(observation)
        return dict(decisions(observation))

    fleet = scenario(config, profile, opening_fleet(trace, config, profile))
    simulate(trace, fleet, policy=policy)
    run = Run(
        started=STARTED,
        mode="acts",
        sla=str(config.sla),
        config={"policy": config, "profile": profile.to_dict()},
    )
    with Journal.open(path) as journal:
        number = journal.begin(run)
        at = STARTED
        for observation, plan in zip(seen, decisions.plans, strict=True):
            at = STARTED + observation.at
            started = ("decode-9",) if plan.changes else ()
            outcome = "applied" if plan.changes else "unchanged"
            entry = Entry(
                at=at, observation=observation, plan=plan, outcome=outcome, started=started
            )
            journal.append(number, entry)
        journal.append(
            number,
            Entry(at=at + 5, observation=None, plan=None, note="frontend-1 does not answer"),
        )
        latest = replace(seen[-1], at=seen[-1].at + 10)
        held = next(plan for plan in reversed(decisions.plans) if not plan.changes)
        journal.append(
            number,
            Entry(at=at + 10, observation=latest, plan=held, outcome="unchanged"),
        )
    return path


@pytest.fixture
def spread(filled: Path, tmp_path: Path) -> Path:
    """Return a journal that tells how TTFT is spread in the later half of its intervals."""
    path = Path(shutil.copy(filled, tmp_path / "spread.sqlite"))
    with closing(sqlite3.connect(path)) as database:
        database.execute(
            "UPDATE decisions SET observation = json_set(observation, '$.latencies',"
            """ json('{"ttft": {"p50": 0.12, "p95": 0.34, "p99": 0.56}, "itl": null}'))"""
            " WHERE observation IS NOT NULL AND id > 60"
        )
        database.commit()
    return path


@pytest.fixture
def untold(filled: Path, tmp_path: Path) -> Path:
    """Return a journal of one decision on requests of which nobody knows how they did."""
    path = tmp_path / "untold.sqlite"
    with Journal.read(filled) as journal:
        (record,) = journal.query(Query(limit=1))
        (run,) = journal.runs()
    observation = record.entry.observation
    assert observation is not None
    assert observation.traffic is not None
    traffic = replace(observation.traffic, within_sla=None)
    with Journal.open(path) as journal:
        journal.append(
            journal.begin(run),
            replace(record.entry, observation=replace(observation, traffic=traffic)),
        )
    return path


@pytest.fixture
def bare(tmp_path: Path) -> Path:
    """Return a journal without decisions."""
    path = tmp_path / "journal.sqlite"
    Journal.open(path).close()
    return path
