"""Arrivals and step sums in the journal: kept exactly, small, and absent from older rows."""

import sqlite3

import pytest

from planner.core.encoding import decoded, encoded
from planner.core.observation import Arrivals, Observation, Replicas, RoleLoad, StepSums, Traffic
from planner.core.role import Role
from planner.journal import Entry, Journal, Run

BINS = 20  # of an interval of 5 s
BUSY = Arrivals(
    bin_seconds=0.25,
    counts=(100,) * BINS,
    isl=(150_000,) * BINS,
    isl_squared=(450_000_000,) * BINS,
)
STEPS = StepSums(
    seconds=4.98,
    steps=400,
    prefill_steps=40,
    decoded=100_000,
    kv_tokens=200_000_000,
    prefilled=30_000,
    prefilled_squared=90_000_000,
)


def observation(arrivals, steps):
    traffic = Traffic(
        seconds=5.0,
        arrived=2000,
        isl_sum=3e6,
        isl_squared_sum=9e9,
        finished=0,
        osl_sum=0.0,
        arrivals=arrivals,
    )
    fleet = {Role.DECODE: Replicas(ready=2)}
    return Observation(
        at=1005.0, fleet=fleet, traffic=traffic, load={Role.DECODE: RoleLoad(steps=steps)}
    )


@pytest.fixture
def path(tmp_path):
    return tmp_path / "journal.sqlite"


def written(path, seen):
    with Journal.open(path) as journal:
        run = journal.begin(Run(started=1000.0, mode="acts", sla="ttft=1s"))
        return journal.append(run, Entry(at=1005.0, observation=seen, plan=None))


def read(path, number):
    with Journal.open(path) as journal:
        return journal.get(number).entry.observation


def test_what_was_seen_comes_back(path):
    seen = observation(BUSY, STEPS)
    assert read(path, written(path, seen)) == seen


def test_a_busy_interval_costs_less_than_a_kilobyte(path):
    sizes = []
    for seen in (observation(BUSY, STEPS), observation(None, None)):
        number = written(path, seen)
        with sqlite3.connect(path) as database:
            query = "SELECT length(observation) FROM decisions WHERE id = ?"
            sizes.append(database.execute(query, (number,)).fetchone()[0])
        database.close()
    assert sizes[0] - sizes[1] < 1024


def test_an_observation_from_before_there_were_any():
    plain = encoded(observation(None, None))
    del plain["traffic"]["arrivals"], plain["load"]["decode"]["steps"]
    assert decoded(Observation, plain) == observation(None, None)
