"""The oracle: cheaper than any fixed fleet, dearer than the work, true in the simulator."""

from dataclasses import replace

import numpy as np
import pytest

from planner.core.policy import PolicyConfig
from planner.core.role import Role
from planner.core.sla import Sla
from planner.profiles import load_profile
from planner.sim.backtest import scenario
from planner.sim.oracle import oracle
from planner.sim.oracle.bound import work_bound
from planner.sim.oracle.evaluate import outcome
from planner.sim.oracle.grid import Grid
from planner.sim.run import Scenario, follow, simulate
from planner.sim.score import score
from planner.sim.static import best_static
from planner.traces import Trace, amplify, open_trace, window

P, D, A = Role.PREFILL, Role.DECODE, Role.AGGREGATED
PROFILE = load_profile("llama-3.1-8b-fp8-h200")
CONFIG = PolicyConfig(sla=Sla.parse("ttft=200ms,itl=8ms"), cold_start_seconds=15)
START = 40.0


@pytest.fixture(scope="module")
def trace() -> Trace:
    """A load that doubles, and comes down again."""
    low = amplify(open_trace("bundled:azure-conv"), 4, rng=np.random.default_rng(5))
    low = window(low, start=60, duration=180)
    high = amplify(open_trace("bundled:azure-conv"), 8, rng=np.random.default_rng(6))
    high = window(high, start=0, duration=40)
    at = np.concatenate([low.arrival_seconds, high.arrival_seconds + 90])
    order = np.argsort(at, kind="stable")
    isl, osl = np.concatenate([low.isl, high.isl]), np.concatenate([low.osl, high.osl])
    return Trace(name="hill", arrival_seconds=at[order], isl=isl[order], osl=osl[order])


@pytest.fixture(scope="module")
def fleet() -> Scenario:
    return scenario(CONFIG, PROFILE, {P: 2, D: 2})


def up_and_down(grid: Grid) -> np.ndarray:
    step = np.arange(grid.steps)
    columns = [2 + (step % 8 > 3), 2 + 2 * (step % 13 > 7)]
    return np.stack(columns, axis=1)


@pytest.mark.parametrize("hands_off", [0.0, 22.0])
def test_what_follows_a_schedule_is_what_a_policy_that_asks_the_same_gets(trace, fleet, hands_off):
    fleet = replace(fleet, hands_off_seconds=hands_off)
    grid = Grid.of(trace, fleet, start_seconds=START)
    asked = grid.asked(up_and_down(grid))
    followed = follow(trace, fleet, schedule=asked)
    scaled = simulate(trace, fleet, policy=lambda observation: asked(observation.at))
    assert (followed.changes, followed.actions) == (scaled.changes, scaled.actions)
    np.testing.assert_array_equal(followed.finish_seconds, scaled.finish_seconds)
    assert followed.attainment < 1


def test_outcomes_by_step_add_up_to_the_score(trace, fleet):
    grid = Grid.of(trace, fleet, start_seconds=START)
    result = follow(trace, fleet, schedule=grid.asked(up_and_down(grid)))
    told, judged = outcome(result, grid), score(result, start_seconds=START)
    assert told.cost / 3600 == pytest.approx(judged.gpu_hours, rel=1e-9)
    assert told.attainment == pytest.approx(judged.attainment)


@pytest.fixture(scope="module")
def best(trace, fleet):
    return oracle(trace, fleet, attainment=0.97, start_seconds=START, evaluations=300)


def test_it_attains_what_was_asked_between_the_work_and_the_best_fixed_fleet(trace, fleet, best):
    sla = replace(CONFIG.sla, attainment=0.97)
    static = best_static(trace, replace(fleet, sla=sla))
    assert best.attainment >= 0.97
    assert best.work_bound_gpu_hours < best.gpu_hours
    assert best.gpu_hours < score(static, start_seconds=START).gpu_hours
    assert 0 < best.gap < 1


def test_its_schedule_can_be_followed(trace, fleet, best):
    def follow(observation):
        asked = {}
        for role, changes in best.schedule.items():
            asked[role] = next(n for at, n in reversed(changes) if at <= observation.at)
        return asked

    judged = score(simulate(trace, fleet, policy=follow), start_seconds=START)
    assert (judged.attainment, judged.gpu_hours) == (best.attainment, best.gpu_hours)


def test_equal_searches_find_equal_schedules(trace, fleet):
    one, two = (
        oracle(trace, fleet, attainment=0.97, start_seconds=START, evaluations=40) for _ in "12"
    )
    assert (one.schedule, one.gpu_hours) == (two.schedule, two.gpu_hours)


def test_searching_longer_is_never_dearer(trace, fleet, best):
    short = oracle(trace, fleet, attainment=0.97, start_seconds=START, evaluations=10)
    assert short.method == "dynamic programme"
    assert best.method == "local search"
    assert best.gpu_hours <= short.gpu_hours


def test_a_fixed_fleet_is_taken_where_no_search_found_a_cheaper_one(trace, fleet, monkeypatch):
    wasteful = (dict.fromkeys(Role, 3.0),)
    monkeypatch.setattr("planner.sim.oracle.clairvoyant._PROVISIONS", wasteful)
    best = oracle(trace, fleet, attainment=0.97, start_seconds=START, evaluations=0)
    assert best.method == "fixed fleet"
    assert best.attainment >= 0.97
    assert all(len(changes) <= 2 for changes in best.schedule.values())


def test_an_aggregated_fleet_is_searched_too():
    config = PolicyConfig(
        sla=Sla.parse("ttft=300ms,itl=12ms"), bounds={A: CONFIG.bounds[P]}, cold_start_seconds=10
    )
    fleet = scenario(config, PROFILE, {A: 2})
    short = window(open_trace("bundled:azure-conv"), start=0, duration=60)
    best = oracle(short, fleet, attainment=0.95, start_seconds=20, evaluations=20)
    assert best.attainment >= 0.95
    assert best.work_bound_gpu_hours < best.gpu_hours


def test_what_nobody_attains_gives_the_most_that_was_reached(trace, fleet):
    hopeless = replace(fleet, sla=Sla.parse("ttft=5ms,itl=8ms"))
    best = oracle(trace, hopeless, start_seconds=START, evaluations=5)
    assert best.attainment == 0.0
    assert all(changes for changes in best.schedule.values())


def test_the_bound_is_the_work_of_one_prompt_and_its_tokens():
    one = Trace(
        name="one and the end",
        arrival_seconds=np.array([0.0, 100.0]),
        isl=np.array([1000, 1]),
        osl=np.array([11, 1]),
    )
    fleet = scenario(CONFIG, PROFILE, {P: 1, D: 1})
    law, decode = fleet.models[P].prefill, fleet.models[D].decode
    prefill = law.marginal_seconds(1000) + law.base_seconds * 1000 / 8192
    step = decode.marginal_seconds(1005.5) * 0.008 / (0.008 - decode.base_seconds)
    bound = work_bound(one, fleet, attainment=0.99, start_seconds=0.0)
    assert bound * 3600 == pytest.approx(prefill + 10 * step)
    assert work_bound(one, fleet, attainment=0.5, start_seconds=0.0) == 0.0
