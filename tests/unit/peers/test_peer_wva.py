"""The workload-variant autoscaler's rule with numbers worked out by hand."""

import pytest

from planner.core.role import Role
from planner.core.workload import Workload
from planner.peers.hpa import HpaState
from planner.peers.queue_model import Server
from planner.peers.wva import WvaInputs, WvaSettings, decide_wva, server_of

# 40 side by side at 10 + 1 * n ms and 100 tokens each; one alone 1.1 s, all of them 5 s.
SERVER = Server(
    alpha=0.010,
    beta=0.001,
    gamma=0.0,
    delta=0.0,
    most_in_service=40,
    input_tokens=0.0,
    output_tokens=101.0,
)
UNJUDGED = WvaSettings(ttft_seconds=None, itl_seconds=1.0)

RATES = [
    pytest.param(UNJUDGED, 7.9, 1, id="7.9/s below 0.999 * 40 / 5 s = 7.99/s -> 1"),
    pytest.param(UNJUDGED, 8.0, 2, id="8/s over 7.99/s -> 2"),
    pytest.param(UNJUDGED, 79.0, 10, id="79/s over 7.99/s -> 10"),
    pytest.param(UNJUDGED, 0.0, 1, id="nothing arrives -> 1"),
    pytest.param(
        WvaSettings(ttft_seconds=None, itl_seconds=1.0, headroom=1.5), 79.0, 15, id="1.5 * 79 -> 15"
    ),
    pytest.param(
        WvaSettings(ttft_seconds=None, itl_seconds=0.005), 79.0, 3, id="10 ms > 5 ms: held at 3"
    ),
]


@pytest.mark.parametrize(("settings", "rate", "expected"), RATES)
def test_rate_over_the_largest_of_one_server(settings, rate, expected):
    inputs = WvaInputs(at=1e6, rate_rps=rate, server=SERVER, current=3)
    seen = HpaState(recommended=((0.0, 3),))
    _, replicas = decide_wva(settings, seen, inputs)
    assert replicas == expected


def test_a_smaller_number_waits_120_s():
    state, counts = HpaState(), []
    for tick in range(6):
        inputs = WvaInputs(at=tick * 30.0, rate_rps=8.0, server=SERVER, current=5)
        state, replicas = decide_wva(UNJUDGED, state, inputs)
        counts.append(replicas)
    assert counts == [5, 5, 5, 5, 2, 2]


def test_each_role_is_a_case_of_the_model(round_engine):
    mean = Workload(rate_rps=1.0, isl=1000, osl=100)
    prefill = server_of(Role.PREFILL, round_engine, mean)
    decode = server_of(Role.DECODE, round_engine, mean)
    both = server_of(Role.AGGREGATED, round_engine, mean)
    # Prefill: 8 prompts fill the token budget; 0.1 s and 0.1 s for each.
    assert prefill.rates() == pytest.approx([n / (0.1 + 0.1 * n) for n in range(1, 9)])
    # Decode: 100 tokens in steps of 10 + n ms; aggregated: prefill, and 99 steps.
    assert decode.rates()[:2] == pytest.approx([1 / 1.1, 2 / 1.2])
    assert both.rates()[:2] == pytest.approx([1 / (0.2 + 99 * 0.011), 2 / (0.3 + 99 * 0.012)])
