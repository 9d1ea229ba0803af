"""The two loops of Dynamo 1.6's planner with numbers worked out by hand."""

from dataclasses import replace

import pytest

from planner.core.observation import Replicas, RoleLoad, Traffic
from planner.core.role import Role
from planner.core.sla import Sla
from planner.core.workload import Workload
from planner.peers.dynamo_capacity import engine_rps, next_ttft_seconds
from planner.peers.dynamo_load import WorkerLoad, load_step
from planner.peers.dynamo_loops import (
    LoopsInputs,
    LoopsSettings,
    LoopsState,
    decide_loops,
)

P, D, A = Role.PREFILL, Role.DECODE, Role.AGGREGATED
SLA = Sla.parse("ttft=500ms,itl=50ms")

CAPACITIES = [
    pytest.param(P, "ttft=500ms", 1000, 1, 4 / 0.5, id="4 prompts in 0.5 s -> 8/s"),
    pytest.param(P, "ttft=2s", 1000, 1, 8 / 0.9, id="8 fill the token budget, 0.9 s -> 8.9/s"),
    pytest.param(P, "ttft=150ms", 1000, 1, 8 / 0.9, id="0.2 s alone is late: not judged"),
    pytest.param(P, "ttft=5s", 20000, 1, 1 / 2.3, id="3 steps, 2.3 s -> 0.43/s"),
    pytest.param(D, "itl=50ms", 1000, 100, 40 / 5, id="40 at 50 ms, 100 tokens -> 8/s"),
    pytest.param(D, "itl=20ms", 1000, 100, 10 / 2, id="10 at 20 ms, 100 tokens -> 5/s"),
    pytest.param(D, "itl=5ms", 1000, 100, 100 / 11, id="11 ms alone is late: all 100 at 110 ms"),
]


@pytest.mark.parametrize(("role", "sla", "isl", "osl", "expected"), CAPACITIES)
def test_requests_a_second_of_one_engine(round_engine, role, sla, isl, osl, expected):
    found = engine_rps(role, round_engine, Sla.parse(sla), isl=isl, osl=osl)
    assert found == pytest.approx(expected)


def test_an_aggregated_engine_takes_a_fifth_of_a_prompt_along_with_20_requests(round_engine):
    # b requests of 100 tokens: 10 + b + (b / 100) * 100 + (b / 100) * 90 ms a step <= 50 -> 13, and
    # a prompt behind b / 100 others: 0.1 + 1.13 * 0.1 + 13 ms -> 226 ms, e2e 0.226 + 99 * 0.0477 s.
    found = engine_rps(A, round_engine, SLA, isl=1000, osl=100)
    assert found == pytest.approx(13 / (0.226 + 99 * 0.0477))


DRAINS = [
    pytest.param(0, 0.2, id="alone -> 0.2 s"),
    pytest.param(7, 0.9, id="8 prompts in one step -> 0.9 s"),
    pytest.param(8, 1.1, id="9 prompts in two steps -> 1.1 s"),
]


@pytest.mark.parametrize(("queued", "expected"), DRAINS)
def test_next_ttft(round_engine, queued, expected):
    assert next_ttft_seconds(round_engine, queued=queued, isl=1000) == pytest.approx(expected)


def _load(workers, *, queued=0.0, running=0.0, kv_tokens=0.0):
    return WorkerLoad(
        workers=workers, queued=queued, running=running, kv_tokens=kv_tokens, isl=1000, osl=100
    )


STEPS = [
    pytest.param(P, _load(2, queued=3.1), 1, id="0.2 + 3.1 * 0.1 s > 0.5 s: up"),
    pytest.param(P, _load(2, queued=3.0), 0, id="0.5 s is in time, but 0.6 s more on one: stay"),
    pytest.param(P, _load(2, queued=1.3), 0, id="0.26 s on one, not below 0.8 * 0.3 s: stay"),
    pytest.param(P, _load(2, queued=1.1), -1, id="0.22 s on one, below 0.8 * 0.3 s: down"),
    pytest.param(P, _load(1, queued=0.0), 0, id="the last one stays"),
    pytest.param(D, _load(2, running=40), 1, id="10 + 41 ms > 50 ms: up"),
    pytest.param(D, _load(2, running=39), 0, id="50 ms is in time, but 88 ms on one: stay"),
    pytest.param(D, _load(4, running=23), 0, id="23 * 4/3 = 31: 41 ms on three: stay"),
    pytest.param(D, _load(4, running=22), -1, id="22 * 4/3 = 29: 39 ms on three, below 40: down"),
    pytest.param(
        D,
        _load(2, running=1, kv_tokens=800_000),
        0,
        id="800000 tokens * 2 would fill the KV cache: stay",
    ),
    pytest.param(A, _load(2, running=5, queued=3.0), 1, id="aggregated: TTFT of 0.505 s: up"),
    pytest.param(A, _load(2, running=10), 0, id="aggregated: 42 ms now, 68 ms on one: stay"),
    pytest.param(A, _load(2, running=5), -1, id="aggregated: 39 ms on one, and nobody waits: down"),
]


@pytest.mark.parametrize(("role", "load", "expected"), STEPS)
def test_load_step(round_engine, role, load, expected):
    assert load_step(role, round_engine, SLA, load) == expected


@pytest.fixture
def settings(round_deployment):
    return LoopsSettings(deployment=round_deployment)


def _traffic(rate, *, isl=1000, osl=100, seconds=60.0):
    count = round(rate * seconds)
    return Traffic(
        seconds=seconds,
        arrived=count,
        isl_sum=count * isl,
        isl_squared_sum=count * isl**2,
        finished=count,
        osl_sum=count * osl,
    )


def _inputs(prefill, decode, *, traffic=None, starting=0, waiting=0, running=0):
    return LoopsInputs(
        fleet={P: Replicas(ready=prefill, starting=starting), D: Replicas(ready=decode)},
        load={
            P: RoleLoad(waiting=waiting, running=0),
            D: RoleLoad(waiting=0, running=running, kv_usage=0.0),
        },
        lengths=Workload(rate_rps=1.0, isl=1000, osl=100),
        traffic=traffic,
    )


FLOORS = [
    pytest.param(16.0, (2, 2), (2, 2), id="16/s over 8/s -> 2 and 2"),
    pytest.param(16.1, (2, 2), (3, 3), id="16.1/s over 8/s -> 3 and 3"),
    pytest.param(160.0, (2, 2), (10, 10), id="20 asked for, 8 more than 2 at most -> 10"),
    pytest.param(8.0, (20, 20), (19, 19), id="down one at a time although 12 would do"),
    pytest.param(0.0, (1, 1), (1, 1), id="no requests -> the minimum"),
]


@pytest.mark.parametrize(("rate", "fleet", "expected"), FLOORS)
def test_throughput_loop(settings, rate, fleet, expected):
    inputs = _inputs(*fleet, traffic=_traffic(rate))
    _, replicas = decide_loops(settings, LoopsState(), inputs)
    assert (replicas[P], replicas[D]) == expected


SETTLED = LoopsState(floors={P: 2, D: 2}, is_settled=True)
TICKS = [
    pytest.param(_inputs(3, 3), (2, 2), id="idle: one fewer each, to the floor of 2"),
    pytest.param(_inputs(2, 2), (2, 2), id="idle: not below the floor"),
    pytest.param(_inputs(2, 2, waiting=7), (3, 2), id="3.5 prompts each would take 0.55 s: up"),
    pytest.param(_inputs(2, 2, waiting=7, starting=1), (3, 2), id="...but not while one starts"),
    pytest.param(_inputs(2, 2, running=81), (2, 3), id="40.5 requests each, 51.5 ms: up"),
    pytest.param(_inputs(1, 1), (2, 2), id="the floor lifts both"),
]


@pytest.mark.parametrize(("inputs", "expected"), TICKS)
def test_load_loop_above_the_floor(settings, inputs, expected):
    _, replicas = decide_loops(settings, SETTLED, inputs)
    assert (replicas[P], replicas[D]) == expected


def test_before_the_first_floor_nothing_shrinks(settings):
    _, replicas = decide_loops(settings, LoopsState(), _inputs(5, 5))
    assert replicas == {P: 5, D: 5}


def test_an_idle_interval_keeps_the_lengths(settings):
    state, _ = decide_loops(settings, LoopsState(), _inputs(2, 2, traffic=_traffic(8.0, isl=3000)))
    state, _ = decide_loops(settings, state, _inputs(2, 2, traffic=_traffic(0.0)))
    assert state.lengths.isl == 3000
    assert state.lengths.osl == 100


BUDGETS = [
    pytest.param(20, (10, 10), id="20 of 20 fit"),
    pytest.param(9, (4, 5), id="10 * 9/20 -> 4, and 5 left"),
    pytest.param(2, (1, 1), id="one each"),
]


@pytest.mark.parametrize(("budget", "expected"), BUDGETS)
def test_budget_gives_decode_what_prefill_leaves(round_deployment, budget, expected):
    settings = LoopsSettings(deployment=replace(round_deployment, max_gpus=budget))
    inputs = _inputs(2, 2, traffic=_traffic(80.0))
    _, replicas = decide_loops(settings, LoopsState(), inputs)
    assert (replicas[P], replicas[D]) == expected
