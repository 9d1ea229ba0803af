"""Small passages are ignored, and a lower need must last."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from planner.core.stabilize import remaining_seconds, tolerant


@pytest.mark.parametrize(
    ("current", "need", "replicas"),
    [
        pytest.param(4, 4.05, 4, id="hardly more"),
        pytest.param(4, 4.2, 5, id="more"),
        pytest.param(4, 9.1, 10, id="straight to what is needed"),
        pytest.param(4, 2.98, 4, id="hardly fewer"),
        pytest.param(4, 2.9, 3, id="fewer"),
        pytest.param(4, 0.0, 0, id="none"),
        pytest.param(0, 0.01, 1, id="the first"),
    ],
)
def test_a_need_becomes_a_whole_number(current, need, replicas):
    assert tolerant(current, need, tolerance=0.02) == replicas


@given(st.integers(0, 100), st.floats(0, 100), st.floats(0, 100), st.floats(0, 0.5))
def test_more_need_never_gives_fewer(current, one, other, tolerance):
    low, high = sorted([one, other])
    fewer = tolerant(current, low, tolerance=tolerance)
    assert fewer <= tolerant(current, high, tolerance=tolerance)


def test_the_window_says_how_long_it_still_holds():
    needs = ((100.0, 5.0), (130.0, 3.0))
    assert remaining_seconds(needs, 140.0, 2, hold_seconds=60.0) == pytest.approx(50.0)
    assert remaining_seconds(needs, 140.0, 4, hold_seconds=60.0) == pytest.approx(20.0)
    assert remaining_seconds(needs, 140.0, 5, hold_seconds=60.0) == 0.0
