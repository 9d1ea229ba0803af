"""The simulator that jumps gives the same times as one that takes every step of every engine."""

from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from planner.core.engine import DecodeLaw, EngineLimits, EngineModel, PrefillLaw
from planner.core.role import Role
from planner.core.sla import Sla
from planner.sim.result import SimResult
from planner.sim.run import Scenario, simulate
from planner.sim.scenario import RemotePrefill
from planner.traces import Trace

SLA = Sla(ttft_seconds=1)
FIXED = [HealthCheck.function_scoped_fixture]  # they hold no state
MODEL = EngineModel(
    prefill=PrefillLaw(base_seconds=0.0185, token_seconds=1.4e-5, token_squared_seconds=4.9e-10),
    decode=DecodeLaw(base_seconds=0.0044, request_seconds=3.8e-5, kv_token_seconds=3e-8),
    limits=EngineLimits(
        max_num_batched_tokens=8192,
        max_num_seqs=256,
        block_size=16,
        kv_capacity_tokens=900_000,
        kv_bytes_per_token=131_072,
        transfer_bytes_per_second=5e10,
    ),
)


def limited(**limits: int) -> EngineModel:
    return replace(MODEL, limits=replace(MODEL.limits, **limits))


def random_trace(seed: int, n: int, *, rate: float, longest: int = 6000, osl: int = 60) -> Trace:
    rng = np.random.default_rng(seed)
    return Trace(
        name="random",
        arrival_seconds=np.cumsum(rng.exponential(1 / rate, n)),
        isl=rng.integers(1, longest, n),
        osl=np.maximum(1, rng.geometric(1 / osl, n)),
    )


Check = Callable[..., None]


@pytest.fixture
def assert_same(reference) -> Check:
    """Check that the first and last token of every request come when the reference says."""

    def check(trace, models, initial, schedule=(), **choices) -> SimResult:
        scenario = Scenario(sla=SLA, models=models, initial=initial, **choices)
        policy = Plan(schedule, initial) if schedule else None
        result = simulate(trace, scenario, policy=policy)
        expected = reference(trace, scenario, schedule)
        first = np.array([r.first for r in expected]) - trace.arrival_seconds
        finish = np.array([r.finish for r in expected])
        np.testing.assert_allclose(result.ttft_seconds, first, rtol=1e-9, atol=1e-9)
        np.testing.assert_allclose(result.finish_seconds, finish, rtol=1e-12, atol=1e-9)
        return result

    return check


class Plan:
    """A policy that asks for given numbers from given times on."""

    def __init__(self, steps, initial) -> None:
        self.steps = [(0.0, initial), *steps]

    def __call__(self, observation):
        return [wanted for at, wanted in self.steps if at <= observation.at][-1]


P, D, A = Role.PREFILL, Role.DECODE, Role.AGGREGATED
TIGHT_KV = limited(kv_capacity_tokens=12_000)
FEW_SEATS = limited(max_num_seqs=3)
SMALL_STEPS = limited(max_num_batched_tokens=512)
FLEETS = [
    pytest.param({P: MODEL, D: MODEL}, {P: 1, D: 1}, 12, id="1P1D"),
    pytest.param({P: MODEL, D: TIGHT_KV}, {P: 1, D: 1}, 12, id="1P1D little memory"),
    pytest.param({P: MODEL, D: FEW_SEATS}, {P: 1, D: 1}, 12, id="1P1D few seats"),
    pytest.param({P: SMALL_STEPS, D: MODEL}, {P: 1, D: 1}, 6, id="1P1D chunked prompts"),
    pytest.param({P: MODEL, D: MODEL}, {P: 2, D: 3}, 40, id="2P3D"),
    pytest.param({P: SMALL_STEPS, D: TIGHT_KV}, {P: 4, D: 3}, 30, id="4P3D all limits"),
    pytest.param({A: MODEL}, {A: 1}, 12, id="1 aggregated"),
    pytest.param({A: TIGHT_KV}, {A: 1}, 6, id="1 aggregated little memory"),
    pytest.param({A: FEW_SEATS}, {A: 1}, 6, id="1 aggregated few seats"),
    pytest.param({A: SMALL_STEPS}, {A: 1}, 6, id="1 aggregated chunked prompts"),
    pytest.param({A: MODEL}, {A: 4}, 60, id="4 aggregated"),
    pytest.param({A: limited(max_num_seqs=3, max_num_batched_tokens=3)}, {A: 2}, 0.02, id="tiny"),
]


@pytest.mark.parametrize(("models", "initial", "rate"), FLEETS)
def test_every_time_is_that_of_the_reference(assert_same, models, initial, rate):
    assert_same(random_trace(7, 150 if rate > 1 else 12, rate=rate), models, initial)


SOME_LOCAL = RemotePrefill(max_local_prefill_length=3000)
SHORT_QUEUE = RemotePrefill(max_local_prefill_length=500, max_prefill_queue_size=2)


@pytest.mark.parametrize("limits", [SOME_LOCAL, SHORT_QUEUE], ids=["by length", "by queue"])
@pytest.mark.parametrize("model", [MODEL, TIGHT_KV, FEW_SEATS, SMALL_STEPS])
def test_every_time_is_that_of_the_reference_when_some_prompts_stay(assert_same, model, limits):
    trace = random_trace(11, 150, rate=20)
    assert_same(trace, {P: MODEL, D: model}, {P: 1, D: 2}, remote_prefill=limits)


@settings(max_examples=60, deadline=None, suppress_health_check=FIXED)
@example(seed=19708, rate=1, prefill=1, decode=1, model=MODEL, limits=RemotePrefill())
@given(
    seed=st.integers(0, 10**6),
    rate=st.sampled_from([1, 20, 200]),
    prefill=st.integers(0, 3),
    decode=st.integers(1, 3),
    model=st.sampled_from([MODEL, TIGHT_KV, FEW_SEATS, SMALL_STEPS]),
    limits=st.sampled_from([RemotePrefill(), SOME_LOCAL, SHORT_QUEUE]),
)
def test_every_time_is_that_of_the_reference_for_any_load(
    assert_same, *, seed, rate, prefill, decode, model, limits
):
    trace = random_trace(seed, 25, rate=rate)
    if prefill:
        assert_same(trace, {P: model, D: model}, {P: prefill, D: decode}, remote_prefill=limits)
    else:
        assert_same(trace, {A: model}, {A: decode})


SMALL = {"kv_capacity_tokens": 9000}
GROWING = [
    pytest.param({P: MODEL, D: TIGHT_KV}, {P: 1, D: 1}, 12, id="1P1D"),
    pytest.param({P: MODEL, D: TIGHT_KV}, {P: 2, D: 3}, 40, id="2P3D"),
    pytest.param({A: TIGHT_KV}, {A: 1}, 6, id="1 aggregated"),
    pytest.param({A: limited(**SMALL, block_size=1)}, {A: 2}, 9, id="blocks of 1"),
    pytest.param({A: limited(**SMALL, block_size=64)}, {A: 2}, 9, id="large blocks"),
    pytest.param({A: limited(**SMALL, max_num_batched_tokens=500)}, {A: 2}, 9, id="chunks"),
]


@pytest.mark.parametrize(("models", "initial", "rate"), GROWING)
@pytest.mark.parametrize("limits", [RemotePrefill(), SOME_LOCAL], ids=["all away", "some stay"])
def test_preempted_requests_take_the_time_of_the_reference(
    assert_same, models, initial, rate, limits
):
    trace = random_trace(3, 150, rate=rate, longest=1500, osl=300)
    result = assert_same(trace, models, initial, kv_growth=True, remote_prefill=limits)
    assert result.preempted > 5


SCALING = [
    pytest.param({P: MODEL, D: MODEL}, {P: 1, D: 1}, id="disaggregated"),
    pytest.param({P: SMALL_STEPS, D: TIGHT_KV}, {P: 1, D: 1}, id="all limits"),
    pytest.param({P: MODEL, D: MODEL}, {P: 1, D: 0}, id="from nothing"),
    pytest.param({A: MODEL}, {A: 1}, id="aggregated"),
    pytest.param({A: TIGHT_KV}, {A: 2}, id="aggregated, little memory"),
]


@pytest.mark.parametrize("grows", [False, True])
@pytest.mark.parametrize(("models", "initial"), SCALING)
def test_a_fleet_that_scales_and_drains_takes_the_time_of_the_reference(
    assert_same, models, initial, grows
):
    trace = random_trace(5, 400, rate=30)
    counts = (3, 4, 1, 2, 5, 1, 3)
    schedule = [(i + 1.0, dict.fromkeys(models, count)) for i, count in enumerate(counts)]
    timing = {"interval_seconds": 1.0, "cold_start_seconds": 1.3}
    result = assert_same(trace, models, initial, schedule, kv_growth=grows, **timing)
    assert any(c.fleet[role].draining for c in result.changes for role in models)
