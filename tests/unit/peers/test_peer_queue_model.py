"""The queue model with numbers worked out by hand, and against the textbook."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from planner.peers.queue_model import Server, fitted, largest_rate, latency


def _server(**changes):
    values = {
        "alpha": 0.010,
        "beta": 0.001,
        "gamma": 0.1,
        "delta": 1e-4,
        "most_in_service": 4,
        "input_tokens": 0.0,
        "output_tokens": 11.0,
    }
    return Server(**{**values, **changes})


RATES = [
    pytest.param({}, [1 / 0.11, 2 / 0.12, 3 / 0.13, 4 / 0.14], id="10 steps of 10 + n ms"),
    pytest.param(
        {"input_tokens": 1000.0, "output_tokens": 1.0},
        [1 / 0.2, 2 / 0.3, 3 / 0.4, 4 / 0.5],
        id="prefill alone: 0.1 s and 0.1 s for each prompt",
    ),
    pytest.param(
        {"input_tokens": 1000.0},
        [1 / 0.31, 2 / 0.42, 3 / 0.53, 4 / 0.64],
        id="both: the sum of the times",
    ),
    pytest.param(
        {"output_tokens": 1.0},
        [1 / 0.011, 2 / 0.012, 3 / 0.013, 4 / 0.014],
        id="neither prompt nor a second token: one step",
    ),
]


@pytest.mark.parametrize(("changes", "expected"), RATES)
def test_rates_by_number_in_service(changes, expected):
    assert _server(**changes).rates() == pytest.approx(expected)


def test_fit_at_batch_1_and_n(round_engine):
    # Steps of 11 ms alone and 110 ms with 100: beta = 99 / 99 = 1 ms, alpha = 10 ms.
    # Prefill of 0.2 s alone and 10.1 s for 100 prompts: 0.1 s each, gamma 0.1 s.
    server = fitted(
        round_engine, input_tokens=1000.0, output_tokens=100.0, context=1050.0, batch=100
    )
    assert server.beta == pytest.approx(0.001)
    assert server.alpha == pytest.approx(0.010)
    assert server.gamma == pytest.approx(0.1)
    assert server.delta == pytest.approx(1e-4)


def test_one_at_a_time_is_m_m_1_k():
    # Service of 0.11 s at 5 req/s, at most 11 there: load 0.55, L = 1.205 by the formula of
    # M/M/1/K, and a wait of L / X - S = 0.131 s before the request is in service.
    server = _server(most_in_service=1)
    load, most = 5 * 0.11, 11
    full = (1 - load) * load**most / (1 - load ** (most + 1))
    mean = load / (1 - load) - (most + 1) * load ** (most + 1) / (1 - load ** (most + 1))
    expected = mean / (5 * (1 - full)) - 0.11
    found = latency(server, 5.0)
    assert found.ttft_seconds == pytest.approx(expected)
    assert found.itl_seconds == pytest.approx(0.011)


def test_service_without_sharing_is_erlang_c():
    # beta 0: four servers of 0.1 s each at 32 req/s, 3.2 busy: they wait with 0.596 for 0.1/0.8 s.
    server = _server(beta=0.0, most_in_service=4)
    assert latency(server, 32.0).ttft_seconds == pytest.approx(0.0745, rel=0.02)


def test_the_largest_rate_reaches_its_target():
    server = _server(input_tokens=1000.0, most_in_service=8)
    rate = largest_rate(server, ttft_seconds=0.5, itl_seconds=None)
    assert latency(server, rate).ttft_seconds == pytest.approx(0.5, rel=1e-6)


def test_no_rate_keeps_a_target_below_the_time_of_one_alone():
    server = _server(input_tokens=1000.0)
    assert largest_rate(server, ttft_seconds=0.19, itl_seconds=None) is None


def test_a_target_that_is_never_missed_allows_99_9_percent_of_a_full_batch():
    assert largest_rate(_server(), ttft_seconds=None, itl_seconds=1.0) == pytest.approx(
        0.999 * 4 / 0.14
    )


@given(st.floats(0.02, 2.0), st.floats(0.012, 0.1), st.floats(1.0, 2.0))
def test_a_looser_target_never_lowers_the_rate(ttft, itl, factor):
    server = _server(input_tokens=100.0, most_in_service=16)
    tight = largest_rate(server, ttft_seconds=ttft, itl_seconds=itl) or 0.0
    loose = largest_rate(server, ttft_seconds=ttft * factor, itl_seconds=itl * factor) or 0.0
    assert loose >= tight * (1 - 1e-9)
