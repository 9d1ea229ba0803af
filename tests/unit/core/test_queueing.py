"""Queueing formulas against worked numbers from textbooks."""

from math import exp, inf

import pytest
from hypothesis import given
from hypothesis import strategies as st

from planner.core.queueing import erlang_c, poisson_at_most, spare_servers, wait


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
    assert queue.overall_mean_seconds == pytest.approx(4.0)
    assert queue.above(-1.0) == 1.0


def test_m_d_1_waits_half_as_long_as_m_m_1():
    # Pollaczek-Khinchine: constant service has variability (1 + 0) / 2.
    constant = wait(1, 0.8, service_seconds=1.0, variability=0.5)
    assert constant.overall_mean_seconds == pytest.approx(2.0)


def test_without_spare_capacity_the_wait_has_no_end():
    queue = wait(2, 2.5, service_seconds=1.0)
    assert queue.above(1e9) == 1.0
    assert queue.overall_mean_seconds == inf


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


loads = st.floats(0.01, 100)


@given(loads, loads, st.floats(1e-4, 10), st.floats(0.01, 10), st.floats(0.001, 0.5))
def test_more_load_never_needs_fewer_spare_servers(one, other, each, slack, late):
    low, high = sorted([one, other])

    def spare(load):
        return spare_servers(
            load, squared_work_rate=load * each, slack_seconds=slack, late_share=late
        )

    assert 0 <= spare(low) <= spare(high)


def test_spare_servers_are_bounded_by_square_root_staffing():
    # Hardly any slack: 2.33 * sqrt(100) spare servers, so that 1 % wait at all.
    spare = spare_servers(100.0, squared_work_rate=100.0, slack_seconds=1e-6, late_share=0.01)
    assert spare == pytest.approx(23.26, abs=0.01)


def test_spare_servers_follow_the_heavy_traffic_bound():
    # ln(100) * 2 / (2 * 4.605) = 1 spare server for 2 of squared work and 4.605 s to spare.
    spare = spare_servers(50.0, squared_work_rate=2.0, slack_seconds=4.605, late_share=0.01)
    assert spare == pytest.approx(1.0, abs=1e-3)
