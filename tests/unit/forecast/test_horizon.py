"""Windows follow from the lead, within limits."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from planner.core.forecast import Horizon


@pytest.mark.parametrize(
    ("lead", "interval", "average", "peak", "crest"),
    [
        pytest.param(95, 5, 23.75, 95, 570, id="a cold start of 90 s"),
        pytest.param(10, 5, 10, 10, 300, id="two intervals are the least"),
        pytest.param(5, 5, 10, 10, 300, id="...also for a lead of one"),
        pytest.param(60, 30, 60, 60, 360, id="...and of long ones"),
        pytest.param(2, 1, 2, 2, 60, id="...which scale with the interval"),
        pytest.param(905, 5, 75, 300, 900, id="a long lead does not average the day away"),
        pytest.param(960, 600, 1200, 1200, 1200, id="long intervals"),
    ],
)
def test_windows(lead, interval, average, peak, crest):
    horizon = Horizon.of(lead_seconds=lead, interval_seconds=interval)
    assert horizon.average_seconds == average
    assert horizon.peak_seconds == peak
    assert horizon.crest_seconds == crest


@given(st.floats(0.1, 7200), st.floats(0.1, 3600))
def test_the_crest_looks_furthest_and_nothing_looks_at_a_single_value(lead, interval):
    horizon = Horizon.of(lead_seconds=lead, interval_seconds=interval)
    assert 2 * interval <= horizon.average_seconds <= horizon.crest_seconds
    assert 2 * interval <= horizon.peak_seconds <= horizon.crest_seconds
    assert horizon.memory_seconds > horizon.trend_seconds
