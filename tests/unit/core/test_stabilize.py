"""How long a need that has passed still holds the number."""

import pytest

from planner.core.stabilize import remaining_seconds


def test_the_window_says_how_long_it_still_holds():
    needs = ((100.0, 5.0), (130.0, 3.0))
    assert remaining_seconds(needs, 140.0, 2, hold_seconds=60.0) == pytest.approx(50.0)
    assert remaining_seconds(needs, 140.0, 4, hold_seconds=60.0) == pytest.approx(20.0)
    assert remaining_seconds(needs, 140.0, 5, hold_seconds=60.0) == 0.0
