"""Axes: round ticks, ends that hold every value, pixels in the order of values."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from planner.charts import Axis, Unit, written
from planner.charts.axis import scale

FINITE = st.floats(-1e6, 1e6).map(lambda value: round(value, 3))


def ticks(unit: Unit, *values: float, **ends: float) -> list[str]:
    axis = scale(Axis(label="", unit=unit, **ends), values, start=0, end=100)
    return [written(unit, tick) for tick in axis.ticks(6)]


@pytest.mark.parametrize(
    ("unit", "values", "expected"),
    [
        pytest.param(Unit.NUMBER, (0, 23), "0 5 10 15 20 25", id="replicas"),
        pytest.param(Unit.NUMBER, (0, 0.3), "0 0.05 0.1 0.15 0.2 0.25 0.3", id="fractions"),
        pytest.param(Unit.COUNT, (0, 1), "0 1", id="whole replicas"),
        pytest.param(Unit.SECONDS, (0, 0.5), "0s 100ms 200ms 300ms 400ms 500ms", id="ms"),
        pytest.param(Unit.SECONDS, (0, 3600), "0s 10m 20m 30m 40m 50m 1h", id="an hour"),
        pytest.param(Unit.SHARE, (0.975, 1), "97.5% 98% 98.5% 99% 99.5% 100%", id="shares"),
        pytest.param(Unit.ATTAINMENT, (0.96, 0.992), "95% 98% 99% 99.5% 99.8%", id="misses"),
        pytest.param(Unit.NUMBER, (), "0 0.2 0.4 0.6 0.8 1", id="nothing"),
        pytest.param(Unit.NUMBER, (7, 7), "7 7.2 7.4 7.6 7.8 8", id="one value"),
    ],
)  # fmt: skip
def test_ticks_are_round(unit, values, expected):
    assert ticks(unit, *values) == expected.split()


def test_given_ends_win():
    assert ticks(Unit.NUMBER, 4, 5, low=0, high=10) == ["0", "2", "4", "6", "8", "10"]


@given(st.lists(FINITE, min_size=1, max_size=5), st.sampled_from([Unit.NUMBER, Unit.SECONDS]))
def test_ends_hold_every_value_and_there_is_something_to_read(values, unit):
    axis = scale(Axis(label="", unit=unit), values, start=0, end=100)
    assert axis.low <= min(values) + 1e-6 * abs(min(values))
    assert axis.high >= max(values) - 1e-6 * abs(max(values))
    assert 2 <= len(axis.ticks(6)) <= 8
    assert all(0 <= axis.at(value) <= 100 for value in values)


@given(st.floats(0, 1), st.floats(0, 1), st.sampled_from(list(Unit)))
def test_pixels_are_in_the_order_of_values(one, other, unit):
    axis = scale(Axis(label="", unit=unit, low=0, high=1), [], start=200, end=20)
    assert (axis.at(one) >= axis.at(other)) == (one <= other) or axis.at(one) == axis.at(other)
    assert 20 <= axis.at(one) <= 200


def test_attainment_spreads_what_misses():
    axis = scale(
        Axis(label="", unit=Unit.ATTAINMENT, low=0.9, high=0.999), [], start=0.0, end=100.0
    )
    assert axis.at(0.99) == pytest.approx(50.0)
