"""Queueing formulas against worked numbers from textbooks."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from planner.core.queueing import all_busy, batch_queue_ratio, erlang_b, poisson_at_most


@pytest.mark.parametrize(
    ("servers", "load", "share"),
    [
        pytest.param(1, 0.5, 1 / 3, id="one server at half load"),
        pytest.param(5, 4.0, 0.19907, id="5 lines, 4 erlang"),
        pytest.param(10, 10.0, 0.21458, id="10 lines, 10 erlang"),
        pytest.param(3, 0.0, 0.0, id="nobody comes"),
        pytest.param(2, 8.0, 0.78049, id="far more than they do"),
    ],
)
def test_the_share_that_is_lost_without_a_queue(servers, load, share):
    assert erlang_b(servers, load) == pytest.approx(share, abs=1e-5)


@given(st.floats(65.0, 400.0), st.floats(0.8, 1.3))
def test_a_large_pool_forgets_where_the_recursion_began(load, per_load):
    servers = int(load * per_load)
    blocked = 1.0
    for busy in range(1, servers + 1):
        blocked = load * blocked / (busy + load * blocked)
    assert erlang_b(servers, load) == pytest.approx(blocked, rel=1e-6, abs=1e-9)


@pytest.mark.parametrize(
    ("servers", "load", "share"),
    [
        pytest.param(1, 0.5, 0.5, id="M/M/1: rho waits"),
        pytest.param(2, 1.0, 1 / 3, id="M/M/2 at half load"),
        pytest.param(5, 4.0, 0.55411, id="a call centre: 5 agents, 4 erlang"),
        pytest.param(14, 10.0, 0.17413, id="14 agents, 10 erlang"),
        pytest.param(3, 3.0, 1.0, id="no spare capacity"),
    ],
)
def test_the_share_that_waits_when_taken_one_by_one(servers, load, share):
    ratio = batch_queue_ratio(load / servers, 1.0)
    assert all_busy(servers, load, ratio=ratio) == pytest.approx(share, abs=1e-5)


@given(st.floats(0.01, 20.0), st.floats(1.0, 40.0))
def test_the_queue_falls_off_as_its_balance_says(load, most):
    ratio = batch_queue_ratio(load, most)
    if load >= most:
        assert ratio == 1.0
    elif ratio < 1 - 1e-6:
        taken = ratio * (1 - ratio**most) / (1 - ratio)
        assert taken == pytest.approx(load, rel=1e-4)


@given(st.floats(0.01, 20.0), st.floats(0.01, 20.0), st.floats(1.0, 40.0))
def test_a_larger_load_makes_longer_queues(one, other, most):
    low, high = sorted([one, other])
    least = batch_queue_ratio(low, most)
    assert least <= batch_queue_ratio(high, most, least=least) + 1e-9


def test_batches_without_a_limit_leave_a_queue_that_begins_anew():
    # Whoever is done takes all: 3 arrivals for every one that is done leave 3 in 4.
    assert batch_queue_ratio(3.0, 1e6) == pytest.approx(0.75)


@pytest.mark.parametrize(
    ("count", "mean", "share"),
    [
        pytest.param(0, 1.0, 0.3679, id="none"),
        pytest.param(0.5, 0.001, 0.999, id="hardly any"),
        pytest.param(5, 5.0, 0.6160, id="the mean"),
        pytest.param(110, 100.0, 0.8529, id="one deviation above"),
        pytest.param(125, 100.0, 0.9932, id="far above"),
        pytest.param(-1, 2.0, 0.0, id="fewer than none"),
        pytest.param(0, 0.0, 1.0, id="nobody comes"),
    ],
)
def test_the_poisson_share_is_close_to_the_exact_one(count, mean, share):
    assert poisson_at_most(count, mean) == pytest.approx(share, abs=0.03)
