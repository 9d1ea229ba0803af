"""One series through all members: what they say, how they are weighted, what is remembered."""

import json
import math
from dataclasses import replace
from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from planner.core.encoding import decoded, encoded
from planner.core.forecast import (
    MEMBERS,
    Forecasts,
    Horizon,
    Member,
    expected,
    members,
    seen,
    without_past,
)

HORIZON = Horizon.of(lead_seconds=95, interval_seconds=5)
DAY = 86400.0

series = st.lists(st.floats(0, 1e4), min_size=1, max_size=150)


def walked(values, *, seconds=5.0, horizon=HORIZON, state=None, start=0.0):
    state = state or Forecasts()
    for index, value in enumerate(values):
        at = start + (index + 1) * seconds
        state = seen(state, at=at, seconds=seconds, value=value, horizon=horizon)
    return state


def a_day(level, *, morning):
    """A value a minute: *level* until 9:00, *morning* times as much until 17:00."""
    return [level * (morning if 540 <= minute < 1020 else 1) for minute in range(1440)]


@pytest.mark.parametrize("member", [Member.LAST, Member.LEVEL, Member.TREND])
def test_a_constant_is_forecast_as_itself(member):
    state = walked([3.0] * 100)
    assert expected(state, horizon=HORIZON, among=(member,)) == pytest.approx(3.0)


def test_nothing_seen_is_forecast_as_nothing():
    assert expected(Forecasts(), horizon=HORIZON) == 0.0
    assert expected(Forecasts(), horizon=HORIZON, among=MEMBERS) == 0.0


def test_by_default_all_are_asked_each_for_its_share():
    state = walked([1.0, 1.0, 1.0, 9.0, 9.0, 9.0] * 100)
    reports = members(state, horizon=HORIZON).values()
    told = sum(report.weight * (report.value or 0.0) for report in reports)
    assert expected(state, horizon=HORIZON) == pytest.approx(told)


def test_a_season_that_knows_nothing_leaves_the_level():
    state = walked([1.0] * 300 + [9.0] * 3)
    assert expected(state, horizon=HORIZON, among=(Member.DAILY,)) == state.level.value


def test_a_ramp_is_followed_half_the_way_by_the_damped_trend():
    # 0.01 a second: 60 at 6000 s, 60.475 half a lead later.
    state = walked([0.05 * index for index in range(1, 1201)])
    assert expected(state, horizon=HORIZON, among=(Member.TREND,)) == pytest.approx(60.475, abs=0.1)


def test_the_member_that_was_right_weighs_most():
    # Up and down within the lead: the last value is always wrong, the level never far off.
    state = walked([1.0, 1.0, 1.0, 9.0, 9.0, 9.0] * 100)
    reports = members(state, horizon=HORIZON)
    assert reports[Member.TREND].weight > 4 * reports[Member.LAST].weight
    assert reports[Member.LAST].error > reports[Member.TREND].error


def test_one_that_was_never_judged_has_no_share_beside_others():
    state = walked([2.0] * 100)
    reports = members(state, horizon=HORIZON)
    assert reports[Member.DAILY].value is None
    assert reports[Member.DAILY].weight == 0
    assert reports[Member.DAILY].error is None


def test_before_anything_was_judged_all_count_alike():
    reports = members(walked([2.0] * 3), horizon=HORIZON)
    assert [reports[m].weight for m in MEMBERS] == pytest.approx([1 / 3] * 3 + [0, 0])


def test_a_forecast_is_judged_by_the_value_one_lead_later():
    calm = walked([1.0] * 200)
    after = walked([math.e - 0.5 + 0.5 * math.e] * 1, state=calm, start=1000.0)
    # ln((value + 0.5) / (1 + 0.5)) = 1 for value = 1.5 e - 0.5, here 0 errors before it fade.
    value = 1.5 * math.e - 0.5
    assert value == pytest.approx(after.last)
    before, now = calm.scores[0], after.scores[0]
    assert now.error - before.error * math.exp(-5 / HORIZON.memory_seconds) == pytest.approx(1.0)


def test_errors_count_by_weight():
    calm = walked([1.0] * 200)
    once = seen(calm, at=1005.0, seconds=5.0, value=4.0, horizon=HORIZON)
    often = seen(calm, at=1005.0, seconds=5.0, value=4.0, horizon=HORIZON, weight=50.0)
    assert members(often, horizon=HORIZON)[Member.LAST].error > (
        members(once, horizon=HORIZON)[Member.LAST].error
    )


def test_the_second_morning_is_foreseen_and_the_first_is_not():
    horizon = Horizon.of(lead_seconds=1800, interval_seconds=60)
    first = walked(a_day(2.0, morning=3.0), seconds=60.0, horizon=horizon)
    early = walked(a_day(4.0, morning=3.0)[:525], state=first, seconds=60.0, start=DAY)
    # 8:45, twice the level of yesterday: at 9:15 it will be three times that.
    foreseen = expected(early, horizon=horizon, among=(Member.DAILY,))
    assert foreseen == pytest.approx(12.0, rel=0.25)
    assert (
        members(walked(a_day(2.0, morning=3.0)[:525], seconds=60.0), horizon=horizon)[
            Member.DAILY
        ].value
        is None
    )


def test_a_weekend_is_foreseen_by_the_week_and_not_by_the_day():
    horizon = Horizon.of(lead_seconds=1800, interval_seconds=300)
    workday = a_day(2.0, morning=3.0)[::5]
    week = workday * 5 + [2.0] * 288 * 2
    state = walked([*week, *workday * 5, *[2.0] * 105], seconds=300.0, horizon=horizon)
    # Saturday, 8:45: yesterday it rose threefold, last Saturday it did not.
    assert expected(state, horizon=horizon, among=(Member.WEEKLY,)) == pytest.approx(2.0, rel=0.05)
    assert expected(state, horizon=horizon, among=(Member.DAILY,)) > 4.0


def test_two_weeks_fit_into_4_kib():
    values = [1234.567 + 1000 * math.sin(index / 50) for index in range(4032)]
    state = walked(values, seconds=300.0, horizon=Horizon.of(lead_seconds=605, interval_seconds=5))
    short = [v + 0.123456789 for v in values[:100]]
    state = walked(short, state=state, seconds=5.0, start=2 * 604800.0)
    assert len(json.dumps(encoded(state))) <= 4096


@given(series)
@settings(max_examples=30, deadline=None)
def test_what_is_written_is_read_back(values):
    state = walked(values)
    assert decoded(Forecasts, json.loads(json.dumps(encoded(state)))) == state


@given(series)
@settings(max_examples=50, deadline=None)
def test_forecasts_are_finite_and_within_what_was_seen(values):
    state = walked(values)
    for member in (Member.LAST, Member.LEVEL):
        value = expected(state, horizon=HORIZON, among=(member,))
        assert min(values) * 0.999 <= value <= max(values) * 1.001
    assert 0 <= expected(state, horizon=HORIZON, among=MEMBERS) < math.inf
    shares = [report.weight for report in members(state, horizon=HORIZON).values()]
    assert sum(shares) == pytest.approx(1.0)


@given(series, st.floats(0.1, 10))
@settings(max_examples=30, deadline=None)
def test_the_level_scales_with_the_series(values, factor):
    one = walked(values).level.value
    other = walked([factor * v for v in values]).level.value
    assert other == pytest.approx(factor * one, rel=1e-6, abs=1e-9)


@given(st.lists(st.floats(0, 1e3), min_size=60, max_size=100), st.data())
@settings(max_examples=30, deadline=None)
def test_a_higher_last_value_never_lowers_the_level(values, data):
    more = data.draw(st.floats(0, 1e3))
    low, high = walked(values), walked([*values[:-1], values[-1] + more])
    assert high.level.value >= low.level.value - 1e-9


def test_promises_stay_few_and_in_order():
    state = walked([1.0] * 500)
    made = [at for at, _ in state.promises]
    assert len(made) <= 10
    assert all(before < after for before, after in pairwise(made))


def test_after_a_gap_the_season_is_kept_and_the_level_is_not():
    state = without_past(walked([5.0] * 1000))
    assert state.daily.levels.strip(".")
    assert state.scores[0].weight > 0
    assert (state.level, state.promises) == (Forecasts().level, ())


def test_a_clock_that_goes_back_is_survived():
    state = walked([2.0] * 100, state=walked([1.0] * 300), start=100.0)
    assert expected(state, horizon=HORIZON, among=MEMBERS) == pytest.approx(2.0, rel=0.3)


def test_another_number_of_members_is_refused():
    with pytest.raises(ValueError, match="2 scores for 5 members"):
        replace(Forecasts(), scores=Forecasts().scores[:2])
