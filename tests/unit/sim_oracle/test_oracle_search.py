"""Local search on made-up outcomes: what it finds, and what it takes for that."""

import numpy as np
import pytest

from planner.core.role import Role
from planner.core.sla import Sla
from planner.profiles import load_profile
from planner.sim.oracle.evaluate import Outcome
from planner.sim.oracle.grid import Grid
from planner.sim.oracle.search import Search
from planner.sim.run import Scenario
from planner.traces import Trace

STEPS = 400
PEAKS = np.where(np.arange(STEPS) % 80 < 30, 4, 2)
P, D = Role.PREFILL, Role.DECODE


@pytest.fixture(scope="module")
def grid() -> Grid:
    model = load_profile("llama-3.1-8b-fp8-h200").engine()
    fleet = Scenario(
        sla=Sla.parse("ttft=500ms,itl=50ms"),
        models={P: model, D: model},
        initial={P: 4, D: 4},
        cold_start_seconds=10,
    )
    at = np.array([0.0, 5.0 * STEPS - 1])
    trace = Trace(name="t", arrival_seconds=at, isl=np.array([1, 1]), osl=np.array([1, 1]))
    return Grid.of(trace, fleet, start_seconds=0.0)


class Needing:
    """Ten requests miss in a step for each replica that it lacks; *spoilt* says how many more."""

    def __init__(self, grid, spoilt=lambda _: 0.0):
        self.grid, self.spoilt, self.seen = grid, spoilt, []

    def __call__(self, schedule):
        self.seen.append(schedule)
        misses = 10.0 * np.maximum(0, PEAKS[:, None] - schedule).sum(axis=1)
        misses[-1] += self.spoilt(schedule)
        held = self.grid.wanted(schedule).sum(axis=1)
        return Outcome(misses=misses, gpu_seconds=5.0 * held, requests=10_000)


def polished(grid, evaluate, *, evaluations=60):
    search = Search(evaluate, grid, attainment=0.99, evaluations=evaluations)
    early_and_long = np.maximum(np.roll(PEAKS, 8), np.roll(PEAKS, -8))
    begun = search.look(np.stack([early_and_long] * 2, axis=1))
    return search.polished(begun, price=1.0, evaluations=evaluations - 1)


def test_it_takes_away_what_is_not_needed_and_misses_what_may_be_missed(grid):
    evaluate = Needing(grid)
    found = polished(grid, evaluate)
    assert found.outcome.misses.sum() <= 100
    assert found.outcome.cost < 0.95 * evaluate(evaluate.seen[0]).cost
    assert len(evaluate.seen) <= 60 + 1


def test_what_it_tells_was_evaluated(grid):
    evaluate = Needing(grid)
    found = polished(grid, evaluate, evaluations=20)
    np.testing.assert_array_equal(evaluate(found.schedule).misses, found.outcome.misses)


def test_changes_that_turn_out_to_miss_too_much_are_undone(grid):
    full = 2 * PEAKS.sum()
    evaluate = Needing(grid, spoilt=lambda schedule: max(0.0, 1.1 * full - schedule.sum()))
    found = polished(grid, evaluate)
    assert found.outcome.misses.sum() <= 100
