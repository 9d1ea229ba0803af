"""A season remembers the level of every quarter of an hour in two digits each."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from planner.core.forecast.season import DAY_SECONDS, SLOT_SECONDS, WEEK_SECONDS, Quarter, Season


def walked(season, values, *, seconds, start=0.0, quarter=None):
    """*season* having seen each of *values* for *seconds*."""
    quarter = quarter or Quarter()
    for index, value in enumerate(values):
        after = quarter.seen(at=start + (index + 1) * seconds, seconds=seconds, value=value)
        if after.index != quarter.index:
            season = season.seen(quarter)
        quarter = after
    return season


def periods(levels, *, steps=3):
    """A season that saw each of *levels* for one slot, in *steps* parts, and began the next."""
    values = [level for level in [*levels, levels[0]] for _ in range(steps)]
    season = Season.for_period(len(levels) * SLOT_SECONDS)
    return walked(season, values, seconds=SLOT_SECONDS / steps)


def test_the_change_between_the_middles_of_slots_is_that_of_their_levels():
    season = periods([1.0, 2.0, 4.0, 3.0])
    assert season.change(450.0, 900.0) == pytest.approx(2.0, rel=0.01)
    assert season.change(450.0, 1800.0) == pytest.approx(4.0, rel=0.01)
    assert season.change(2250.0, 900.0) == pytest.approx(0.75, rel=0.01)


def test_between_them_it_is_on_the_line_of_logarithms():
    season = periods([1.0, 4.0, 1.0, 4.0])
    assert season.change(450.0, 450.0) == pytest.approx(2.0, rel=0.01)


def test_it_goes_round():
    season = periods([1.0, 2.0, 4.0, 3.0])
    # The first slot is being seen again: what is known of it is from the last period.
    assert season.change(3150.0, 900.0) == pytest.approx(1 / 3, rel=0.01)
    assert season.change(3150.0 + 5 * 3600, 900.0) == pytest.approx(1 / 3, rel=0.01)


def test_no_change_is_more_than_fourfold():
    season = periods([0.0, 50.0, 0.0, 50.0])
    assert season.change(450.0, 900.0) == 4.0
    assert season.change(1350.0, 900.0) == 0.25


def test_what_was_not_seen_is_unknown():
    season = walked(Season.for_period(DAY_SECONDS), [2.0] * 600, seconds=60.0)
    assert season.change(7200.0, 900.0) == pytest.approx(1.0)
    assert season.change(34200.0, 3600.0) is None
    assert season.change(80000.0, 0.0) is None


@pytest.mark.parametrize(("seconds", "mean"), [(440.0, None), (450.0, 5.0), (900.0, 5.0)])
def test_a_quarter_is_known_from_its_half_on(seconds, mean):
    assert Quarter().seen(at=seconds, seconds=seconds, value=5.0).mean == mean


def test_a_quarter_of_which_little_was_seen_is_not_learned():
    season = Season.for_period(DAY_SECONDS)
    assert season.seen(Quarter(index=3, total=500.0, seconds=100.0)) is season


def test_later_periods_count_less_than_half():
    season = periods([1.0, 1.0, 1.0, 1.0])
    again = season.seen(Quarter(index=5, total=9000.0, seconds=900.0))
    # A geometric mean: 10 ** 0.3 = 2.0
    assert again.change(4950.0 - 900.0, 900.0) == pytest.approx(2.0, rel=0.01)


@given(st.floats(1e-3, 7e4))
def test_a_level_is_kept_to_half_a_percent(level):
    season = periods([1.0, level, 1.0, 1.0])
    assert season.change(450.0, 900.0) == pytest.approx(min(4.0, max(0.25, level)), rel=0.01)


@given(st.floats(0, 1e9))
def test_levels_out_of_range_are_kept_at_its_edge(level):
    season = periods([level] * 4)
    assert season.change(450.0, 900.0) == pytest.approx(1.0)


def test_a_week_has_672_slots():
    assert len(Season.for_period(WEEK_SECONDS).levels) == 2 * 672


def test_another_number_of_slots_is_refused():
    with pytest.raises(ValueError, match="10 digits for a season of 86400 s"):
        Season(period_seconds=DAY_SECONDS, levels="." * 10)
