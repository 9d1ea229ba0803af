"""Queueing formulas against worked numbers from textbooks."""

from math import exp, inf

import pytest
from hypothesis import given
from hypothesis import strategies as st

from planner.core.queueing import erlang_c, poisson_at_most, wait


@pytest.mark.parametrize(
    ("servers", "load", "share"),
    [
        pytest.param(1, 0.5, 0.5, id="M/M/1: rho waits"),
        pytest.param(2, 1.0, 1 / 3, id="M/M/2 at half load"),
        pytest.param(5, 4.0, 0.55411, id="a call centre: 5 agents, 4 erlang"),
        pytest.param(14, 10.0, 0.17413, id="14 agents, 10 erlang"),
        pytest.param(3, 0.0, 0.0, id="nobody comes"),
        pytest.param(3, 3.0, 1.0, id="no spare capacity"),
        pytest.param(1000, 10.0, 0.0, id="plenty"),
    ],
)
def test_the_share_that_waits(servers, load, share):
    assert erlang_c(servers, load) == pytest.approx(share, abs=1e-5)


def test_m_m_1_waits_are_exponential():
    # rho = 0.8, service 1 s: P(W > t) = 0.8 exp(-0.2 t), mean 4 s.
    queue = wait(1, 0.8, service_seconds=1.0)
    assert queue.above(5.0) == pytest.approx(0.8 * exp(-1.0))
    assert queue.share * queue.mean_seconds == pytest.approx(4.0)
    assert queue.above(-1.0) == 1.0


def test_m_d_1_waits_half_as_long_as_m_m_1():
    # Pollaczek-Khinchine: constant service has variability (1 + 0) / 2.
    constant = wait(1, 0.8, service_seconds=1.0, variability=0.5)
    assert constant.share * constant.mean_seconds == pytest.approx(2.0)


def test_without_spare_capacity_the_wait_has_no_end():
    queue = wait(2, 2.5, service_seconds=1.0)
    assert queue.above(1e9) == 1.0
    assert queue.mean_seconds == inf


def test_without_variability_only_the_share_is_known():
    queue = wait(2, 1.0, service_seconds=1.0, variability=0.0)
    assert queue.above(0.0) == pytest.approx(1 / 3)
    assert queue.above(0.1) == 0.0


@given(st.integers(1, 60), st.floats(0, 60), st.floats(0, 10))
def test_more_servers_never_wait_longer(servers, load, seconds):
    fewer = wait(servers, load, service_seconds=1.0)
    more = wait(servers + 1, load, service_seconds=1.0)
    assert more.above(seconds) <= fewer.above(seconds) + 1e-12


@pytest.mark.parametrize(
    ("count", "mean", "share"),
    [
        pytest.param(0, 1.0, 0.3679, id="none"),
        pytest.param(5, 5.0, 0.6160, id="the mean"),
        pytest.param(110, 100.0, 0.8529, id="one deviation above"),
        pytest.param(125, 100.0, 0.9932, id="far above"),
        pytest.param(-1, 2.0, 0.0, id="fewer than none"),
        pytest.param(0, 0.0, 1.0, id="nobody comes"),
    ],
)
def test_the_poisson_share_is_close_to_the_exact_one(count, mean, share):
    assert poisson_at_most(count, mean) == pytest.approx(share, abs=0.03)
