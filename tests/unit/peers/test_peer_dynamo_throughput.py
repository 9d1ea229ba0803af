"""The rule of Dynamo's planner of mid-2025 with numbers worked out by hand."""

from dataclasses import replace

import pytest

from planner.core.policy import Bounds, PolicyConfig
from planner.core.role import Role
from planner.core.sla import Sla
from planner.errors import ConfigError
from planner.peers.dynamo_throughput import (
    ThroughputInputs,
    ThroughputPolicy,
    ThroughputSettings,
    ThroughputState,
    decide_throughput,
)
from planner.profiles import load_profile

P, D = Role.PREFILL, Role.DECODE
UNCORRECTED = ThroughputState()
# A prompt of 1000 tokens takes 0.2 s alone; 40 requests decode in 50 ms a step: 800 tokens/s.
AS_EXPECTED = ThroughputInputs(
    seconds=60.0,
    requests=1200,
    isl=1000.0,
    osl=100.0,
    ttft_seconds=0.2,
    itl_seconds=0.05,
    decode_ready=3,
)


@pytest.fixture
def settings(round_deployment):
    return ThroughputSettings(deployment=round_deployment, has_correction=False)


LOADS = [
    pytest.param({}, {P: 4, D: 3}, id="20 req/s of 0.2 s -> 4; 2000 tok/s over 800 -> 3"),
    pytest.param({"requests": 1201}, {P: 5, D: 3}, id="one request more in 60 s -> 5 prefill"),
    pytest.param({"isl": 2000.0}, {P: 6, D: 3}, id="20 req/s of 0.3 s -> 6"),
    pytest.param({"osl": 40.0}, {P: 4, D: 1}, id="800 tok/s over 800 -> 1"),
    pytest.param({"osl": 40.1}, {P: 4, D: 2}, id="802 tok/s over 800 -> 2"),
    pytest.param({"requests": 0}, {P: 1, D: 1}, id="no requests -> the minimum"),
    pytest.param({"ttft_seconds": None}, None, id="TTFT unknown: skipped"),
    pytest.param({"itl_seconds": None}, None, id="ITL unknown: skipped"),
]


@pytest.mark.parametrize(("changes", "expected"), LOADS)
def test_load_over_throughput(settings, changes, expected):
    _, replicas = decide_throughput(settings, UNCORRECTED, replace(AS_EXPECTED, **changes))
    assert replicas == expected


def test_headroom_1_5_asks_for_6_and_4_instead_of_4_and_3(settings):
    settings = replace(settings, headroom=1.5)
    _, replicas = decide_throughput(settings, UNCORRECTED, AS_EXPECTED)
    assert replicas == {P: 6, D: 4}


CORRECTIONS = [
    # In flight: 20 req/s for 0.2 + 99 * 0.05 s on 3 replicas -> 34.3, a step of 44.3 ms.
    pytest.param({}, 1.0, 0.050 / 0.04433, {P: 4, D: 3}, id="TTFT as expected -> 1"),
    pytest.param({"ttft_seconds": 0.1}, 0.5, None, {P: 2}, id="TTFT half of it (hits) -> 2 of 4"),
    pytest.param({"ttft_seconds": 2.0}, 10.0, None, {P: 4}, id="TTFT 10 times it: still 4"),
]


@pytest.mark.parametrize(("changes", "prefill", "decode", "expected"), CORRECTIONS)
def test_correction(settings, changes, prefill, decode, expected):
    settings = replace(settings, has_correction=True)
    inputs = replace(AS_EXPECTED, **changes)
    state, replicas = decide_throughput(settings, UNCORRECTED, inputs)
    assert state.prefill_correction == pytest.approx(prefill)
    assert decode is None or state.decode_correction == pytest.approx(decode, rel=1e-3)
    assert {role: replicas[role] for role in expected} == expected


def test_itl_twice_what_was_expected_sizes_decode_for_half_the_target(settings):
    settings = replace(settings, has_correction=True)
    # 20 req/s for 0.2 + 99 * 0.06 s on 6 replicas -> 20.47, 30.47 ms expected, 60.93 ms seen: 2.0.
    # Half of 50 ms holds 15 requests, 600 tokens a second: 2000 over 600 -> 4.
    inputs = replace(AS_EXPECTED, decode_ready=6, itl_seconds=0.06093)
    state, replicas = decide_throughput(settings, UNCORRECTED, inputs)
    assert state.decode_correction == pytest.approx(1.99, abs=0.02)
    assert replicas[D] == 4


BUDGETS = [
    pytest.param(7, {P: 4, D: 3}, id="7 of 7 fit"),
    pytest.param(5, {P: 3, D: 2}, id="4 * 5/7 -> 3, and 2 left"),
    pytest.param(2, {P: 1, D: 1}, id="4 * 2/7 -> 1, and 1 left"),
]


@pytest.mark.parametrize(("budget", "expected"), BUDGETS)
def test_budget_is_shared_in_proportion(settings, round_deployment, budget, expected):
    settings = replace(settings, deployment=replace(round_deployment, max_gpus=budget))
    _, replicas = decide_throughput(settings, UNCORRECTED, AS_EXPECTED)
    assert replicas == expected


def test_it_decides_every_60_s_on_what_arrived_since(steady):
    config = PolicyConfig(sla=Sla.parse("ttft=500ms,itl=50ms"))
    policy = ThroughputPolicy(config, load_profile("llama-3.1-8b-fp8-h200"))
    fleet = {P: 1, D: 1}
    before = [policy(steady(at, 200.0, fleet)) for at in range(0, 60, 5)]
    assert before == [fleet] * 12
    # A prompt of 1000 tokens takes 18.6 + 14.1 + 0.5 = 33.2 ms alone: 200 req/s over 30.2 -> 7.
    assert policy(steady(60, 200.0, fleet))[P] == 7


def test_aggregated_is_refused():
    config = PolicyConfig(sla=Sla.parse("ttft=1s"), bounds={Role.AGGREGATED: Bounds()})
    with pytest.raises(ConfigError, match="not aggregated"):
        ThroughputPolicy(config, load_profile("llama-3.1-8b-fp8-h200"))
