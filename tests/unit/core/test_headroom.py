"""The forecast: average and peak, with headroom learned from what it got wrong."""

from math import exp

import pytest
from hypothesis import given
from hypothesis import strategies as st

from planner.core.forecast import Horizon
from planner.core.headroom import (
    BUCKETS,
    Errors,
    Interval,
    Series,
    Windows,
    learned,
)
from planner.core.role import Role

WINDOWS = Windows(
    horizon=Horizon.of(lead_seconds=60, interval_seconds=5),
    burst_seconds=4500,
    memory_seconds=4500,
    warm_up_seconds=180,
    prior_seconds=720,
)


def walked(demands, *, seconds=5.0, requests=50, series=None, start=0.0):
    series = series or Series()
    for index, demand in enumerate(demands):
        at = start + (index + 1) * seconds
        interval = Interval(at=at, seconds=seconds, demands=(demand,), requests=(requests,))
        series = learned(series, interval, windows=WINDOWS)
    return series


def headroom(series, *, late_share=0.02):
    return Errors.of(Role.PREFILL, series, windows=WINDOWS).headroom(late_share)


def test_a_constant_demand_is_forecast_as_itself():
    assert walked([3.0] * 100).forecast == pytest.approx(3.0)


def test_the_largest_part_of_an_interval_is_its_demand():
    interval = Interval(at=5.0, seconds=5.0, demands=(1.0, 4.0, 2.0), requests=(1, 1, 1))
    assert learned(Series(), interval, windows=WINDOWS).forecast == pytest.approx(4.0)


def test_the_largest_demand_is_remembered_as_long_as_bursts_are():
    burst = walked([1.0] * 20 + [9.0] + [1.0] * 800)
    assert burst.bursts[0][1] == 9.0
    assert burst.forecast == pytest.approx(1.0, abs=0.1)


def test_headroom_begins_with_the_prior():
    assert headroom(Series()) == pytest.approx(1.4, rel=0.05)


def test_headroom_falls_below_the_prior_where_forecasts_were_right():
    assert headroom(walked([3.0] * 5000)) < 1.1


def test_headroom_grows_where_forecasts_were_too_low():
    # Twice a window the demand trebles for a while, from a level that the forecast forgets.
    bursty = walked(([10.0] * 100 + [30.0] * 20) * 15)
    assert headroom(bursty) > 2.0


def test_what_was_learned_fades():
    bursty = walked(([10.0] * 100 + [30.0] * 20) * 15)
    calmed = walked([10.0] * 5000, series=bursty, start=1e5)
    assert headroom(calmed) < headroom(bursty) / 1.5


def test_the_first_forecasts_are_not_judged():
    assert sum(walked([0.1] * 10 + [5.0] * 25).errors) == 0
    assert sum(walked([0.1] * 10 + [5.0] * 40).errors) > 0


def test_parts_without_requests_do_not_count():
    series = walked([4.0] * 60)
    silent = Interval(at=1e3, seconds=5.0, demands=(4.0, 40.0), requests=(10, 0))
    after = learned(series, silent, windows=WINDOWS)
    assert sum(after.errors) == pytest.approx(sum(series.errors) * exp(-5 / 4500) + 10)


def test_a_histogram_of_another_size_is_refused():
    with pytest.raises(ValueError, match=f"3 buckets of forecast errors, not {BUCKETS}"):
        Series(errors=(0.0, 0.0, 0.0))


demands = st.lists(st.floats(0, 1000), min_size=1, max_size=60)


@given(demands, st.floats(0, 1000))
def test_more_demand_now_never_lowers_the_forecast(past, extra):
    low, high = walked(past), walked([*past[:-1], past[-1] + extra])
    assert high.forecast >= low.forecast - 1e-9


@given(demands, st.floats(0.001, 0.5))
def test_headroom_is_bounded_and_more_for_fewer_misses(past, late_share):
    series = walked(past * 8)
    factor = headroom(series, late_share=late_share)
    assert 0.25 <= factor <= 8.0
    assert headroom(series, late_share=late_share / 2) >= factor - 1e-9


@given(demands, st.floats(0.001, 0.5))
def test_the_headroom_leaves_the_share_that_it_was_asked_for(past, late_share):
    errors = Errors.of(Role.PREFILL, walked(past * 8), windows=WINDOWS)
    assert errors.share_within(errors.headroom(late_share)) == pytest.approx(
        1 - late_share, abs=1e-6
    )


@given(demands, st.floats(0, 10), st.floats(0, 10))
def test_a_larger_factor_is_enough_for_no_fewer(past, one, other):
    errors = Errors.of(Role.PREFILL, walked(past * 8), windows=WINDOWS)
    low, high = sorted((errors.share_within(one), errors.share_within(other)))
    assert 0 <= low <= high <= 1
    assert errors.share_within(min(one, other)) == low


@given(st.lists(st.floats(0.1, 100), min_size=50, max_size=400))
def test_memory_is_bounded(past):
    series = walked(past, seconds=0.5)
    assert len(series.promises) <= 32
    assert len(series.bursts) <= 16
