"""The parts of the oracle: the dynamic programme, the demand and the grid."""

from itertools import product

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from planner.core.role import Role
from planner.core.sla import Sla
from planner.profiles import load_profile
from planner.sim.oracle.demand import decode_demand, prefill_demand, spread
from planner.sim.oracle.grid import Grid
from planner.sim.oracle.moves import Move, applied, batches
from planner.sim.oracle.programme import cheapest
from planner.sim.run import Scenario
from planner.traces import Trace

P, D = Role.PREFILL, Role.DECODE
ENGINE = load_profile("llama-3.1-8b-fp8-h200").engine()
SLA = Sla.parse("ttft=500ms,itl=50ms")


def cost(schedule, misses, *, price, step_cost, start_cost, opening):
    first, held = opening
    total, before = 0.0, first
    for k, n in enumerate(schedule):
        if n > before and k < held:
            return np.inf
        missed = misses[k, n] if n < misses.shape[1] else 0.0
        total += start_cost[k] * max(0, n - before) + step_cost[k] * n + price * missed
        before = n
    return total


@given(
    steps=st.integers(1, 5),
    seed=st.integers(0, 10_000),
    price=st.sampled_from([0.0, 0.3, 1.0, 50.0]),
    opening=st.tuples(st.integers(1, 4), st.integers(0, 2)),
)
def test_the_programme_costs_what_the_best_of_all_schedules_does(steps, seed, price, opening):
    rng = np.random.default_rng(seed)
    misses = np.sort(rng.integers(0, 20, size=(steps, 4)), axis=1)[:, ::-1].astype(float)
    misses[:, -1] = 0
    given_costs = {
        "price": price,
        "step_cost": rng.uniform(0, 5, size=steps),
        "start_cost": rng.uniform(0, 15, size=steps),
        "opening": opening,
    }
    found = cheapest(misses, **given_costs)
    levels = range(1, max(4, opening[0] + 1))
    least = min(cost(s, misses, **given_costs) for s in product(levels, repeat=steps))
    assert cost(found, misses, **given_costs) == pytest.approx(least)


def test_work_of_one_request_is_spread_over_as_long_as_it_takes():
    # 0.6 s of work in bins of 0.25 s, and nothing beyond the last arrival.
    bins = np.array([0, 1, 9])
    np.testing.assert_allclose(
        spread(bins, np.array([0.6, 0.1, 0.3])), [0.25, 0.35, 0.1, 0, 0, 0, 0, 0, 0, 0.25]
    )


def trace_of(arrivals, isl, osl) -> Trace:
    n = len(arrivals)
    return Trace(
        name="made up",
        arrival_seconds=np.asarray(arrivals, dtype=float),
        isl=np.full(n, isl),
        osl=np.full(n, osl),
    )


def bins_of(trace: Trace):
    return (trace.arrival_seconds / 0.25).astype(np.int64)


def test_steady_prompts_need_the_time_that_they_take():
    trace = trace_of(np.arange(0, 120, 0.05), 2000, 2)
    demand = prefill_demand(trace, ENGINE, SLA, bins_of(trace))
    work = 20 * (ENGINE.prefill.marginal_seconds(2000) + ENGINE.prefill.base_seconds * 2000 / 7192)
    assert demand[-1] == pytest.approx(work, rel=0.02)
    assert (np.diff(demand) > -1e-9).all()


def test_one_long_prompt_never_needs_two_replicas():
    trace = trace_of([0.0, 60.0], 60_000, 2)
    sla = Sla.parse("ttft=8s,itl=50ms")
    assert prefill_demand(trace, ENGINE, sla, bins_of(trace)).max() < 1


def test_steady_decoding_needs_as_many_as_keep_the_pace():
    trace = trace_of(np.arange(0, 120, 0.01), 1000, 201)
    in_flight = 100 * 200 * 0.05  # 100 a second, 200 steps of 50 ms each
    need = in_flight / ENGINE.decode_batch(0.05, 1100.5)
    demand = decode_demand(trace, ENGINE, SLA, bins_of(trace))
    assert demand[-1] == pytest.approx(need, rel=0.02)


def test_long_contexts_need_memory_before_they_need_time():
    trace = trace_of(np.arange(0, 120, 0.1), 16_000, 201)
    fits = ENGINE.batch_limit(16_201)
    assert fits < ENGINE.decode_batch(0.05, 16_100) * 1.01
    pace = ENGINE.decode.step_seconds(fits, fits * 16_100.5)
    demand = decode_demand(trace, ENGINE, SLA, bins_of(trace))
    assert demand[-1] == pytest.approx(10 * 200 * pace / fits, rel=0.03)


@pytest.fixture
def grid() -> Grid:
    fleet = Scenario(
        sla=SLA, models={P: ENGINE, D: ENGINE}, initial={P: 2, D: 1}, cold_start_seconds=12
    )
    return Grid.of(trace_of([0.0, 62.0], 10, 10), fleet, start_seconds=20)


def test_replicas_are_asked_for_a_cold_start_ahead_and_kept_where_they_return(grid):
    assert (grid.steps, grid.lead, grid.first_free) == (13, 3, 0)
    serving = np.array([1, 1, 1, 1, 1, 2, 1, 1, 2, 1, 1, 1, 1])
    wanted = grid.wanted(np.stack([serving, serving], axis=1))
    assert wanted[:, 0].tolist() == [1, 1, 2, 2, 2, 2, 2, 2, 2, 1, 1, 1, 1]


def test_only_what_counts_of_steps_and_starts_is_billed(grid):
    assert grid.step_seconds.tolist() == [0, 0, 0, 0, *[5] * 8, 2]
    assert grid.start_seconds.tolist()[:8] == [0, 0, 0, 0, 0, 5, 10, 15]


def test_moves_that_feel_each_other_are_tried_apart():
    moves = [Move(first=f, end=f + 2, role=0, change=1) for f in (0, 3, 10, 11, 40)]
    groups = batches(moves, before=2, after=3)
    assert [[move.first for move in group] for group in groups] == [[0, 10, 40], [3, 11]]
    changed = applied(np.ones((50, 2), dtype=np.int64), [Move(first=0, end=2, role=1, change=-1)])
    assert (changed == 1).all()
