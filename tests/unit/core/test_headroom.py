"""The forecast: average, peak and trend, with headroom learned from what it got wrong."""

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from planner.core.headroom import (
    BUCKETS,
    Interval,
    Series,
    Windows,
    expected,
    headroom,
    learned,
    promised,
)

WINDOWS = Windows(
    lead_seconds=60,
    smoothing_seconds=30,
    peak_seconds=360,
    memory_seconds=4500,
    warm_up_seconds=180,
    prior_seconds=720,
)


def walked(demands, *, seconds=5.0, requests=50):
    series = Series()
    for index, demand in enumerate(demands):
        at = (index + 1) * seconds
        interval = Interval(at=at, seconds=seconds, demand=demand, requests=requests)
        series = learned(series, interval, windows=WINDOWS)
        series = promised(series, at, expected(series, windows=WINDOWS), windows=WINDOWS)
    return series


def test_a_constant_demand_is_forecast_as_itself():
    series = walked([3.0] * 100)
    assert expected(series, windows=WINDOWS) == pytest.approx(3.0)


def test_a_ramp_is_followed_to_where_it_leads():
    # 0.01 a second: at 1000 s the demand is 10, and 10.6 one lead later.
    series = walked([0.05 * index for index in range(1, 201)])
    assert expected(series, windows=WINDOWS) == pytest.approx(10.6, abs=0.2)


def test_a_peak_is_remembered_for_its_window():
    burst = [1.0] * 20 + [9.0] + [1.0] * 60
    assert expected(walked(burst), windows=WINDOWS) == pytest.approx(5.0, abs=0.1)
    assert expected(walked([*burst, *[1.0] * 20]), windows=WINDOWS) == pytest.approx(1.0, abs=0.1)


def test_headroom_begins_with_the_prior():
    assert headroom(Series(), late_share=0.02, windows=WINDOWS) == pytest.approx(1.15, rel=0.05)


def test_headroom_falls_below_the_prior_where_forecasts_were_right():
    calm = walked([3.0] * 2000)
    assert headroom(calm, late_share=0.02, windows=WINDOWS) < 1.1


def test_headroom_grows_where_forecasts_were_too_low():
    # Twice a window the demand trebles for a while, from a level that the forecast forgets.
    bursty = walked(([1.0] * 100 + [3.0] * 20) * 15)
    assert headroom(bursty, late_share=0.02, windows=WINDOWS) > 2.0


def test_what_was_learned_fades():
    bursty = walked(([1.0] * 100 + [3.0] * 20) * 15)
    calmed = bursty
    for index in range(4000):
        at = 1e5 + index * 5.0
        calmed = learned(
            calmed, Interval(at=at, seconds=5.0, demand=1.0, requests=50), windows=WINDOWS
        )
        calmed = promised(calmed, at, 1.0, windows=WINDOWS)
    before = headroom(bursty, late_share=0.02, windows=WINDOWS)
    assert headroom(calmed, late_share=0.02, windows=WINDOWS) < before / 1.5


def test_the_first_forecasts_are_not_judged():
    series = walked([0.1] * 10 + [5.0] * 25)
    assert sum(series.errors) == 0
    assert sum(walked([0.1] * 10 + [5.0] * 40).errors) > 0


def test_a_histogram_of_another_size_is_refused():
    with pytest.raises(ValueError, match=f"3 buckets of forecast errors, not {BUCKETS}"):
        Series(errors=(0.0, 0.0, 0.0))


demands = st.lists(st.floats(0, 1000), min_size=1, max_size=60)


@given(demands, st.floats(0, 1000))
def test_more_demand_now_never_lowers_the_forecast(past, extra):
    low = walked(past)
    high = walked([*past[:-1], past[-1] + extra])
    assert expected(high, windows=WINDOWS) >= expected(low, windows=WINDOWS) - 1e-9


@given(demands, st.floats(0.001, 0.5))
def test_headroom_is_bounded_and_more_for_fewer_misses(past, late_share):
    series = walked(past * 8)
    factor = headroom(series, late_share=late_share, windows=WINDOWS)
    assert 0.25 <= factor <= 4.0
    assert headroom(series, late_share=late_share / 2, windows=WINDOWS) >= factor - 1e-9


@given(st.lists(st.floats(0.1, 100), min_size=50, max_size=400))
def test_memory_is_bounded(past):
    series = walked(past, seconds=0.5)
    assert len(series.promises) <= 32
    assert len(series.peaks) <= 48
    assert replace(series) == series
