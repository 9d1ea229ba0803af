"""Horn's bound on the servers that a deadline needs, against the obvious way to compute it."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from planner.core.horn import LOOK_BACK, rounded, servers, spread

STEP = 0.25


def needed(work, *, bins=1, slack_seconds=0.5):
    return servers(work, bins=bins, bin_seconds=STEP, slack_seconds=slack_seconds).tolist()


def test_2_seconds_of_work_at_once_with_half_a_second_to_spare_need_3_servers():
    # Due within half a bin and the slack: 2 / (0.125 + 0.5).
    assert needed([2.0]) == pytest.approx([3.2])


def test_steady_work_needs_little_more_than_the_servers_that_it_keeps_busy():
    (steady,) = needed([4 * STEP] * LOOK_BACK)
    assert steady == pytest.approx(4 * 60 / (60 - 0.125 + 0.5))


def test_a_burst_is_felt_until_the_span_from_it_has_grown():
    burst = needed([0.0] * 8 + [5.0] + [0.0] * 11, bins=20)
    assert burst[:8] == [0.0] * 8
    assert burst[8] == max(burst)
    assert burst[8:] == sorted(burst[8:], reverse=True)


def test_work_of_long_requests_is_due_over_the_time_that_they_take():
    work = [1.0]
    spread(work, 0, 2.0, longest=1.0, bin_seconds=STEP)
    assert work == [1.5, 0.5, 0.5, 0.5]
    spread(work, 1, 0.1, longest=0.01, bin_seconds=STEP)
    assert work == pytest.approx([1.5, 0.6, 0.5, 0.5])


works = st.lists(st.floats(0, 10), min_size=1, max_size=300)


@given(works, st.floats(0.01, 10))
def test_it_is_the_bound_over_all_spans_nearly(work, slack):
    (found,) = needed(work, slack_seconds=slack)
    spans = range(1, min(len(work), LOOK_BACK) + 1)
    exact = max(sum(work[-n:]) / ((n - 0.5) * STEP + slack) for n in spans)
    assert 0.9 * exact <= found <= exact * (1 + 1e-9)


@given(works, works, st.floats(0.01, 10), st.floats(1, 3))
def test_more_work_or_less_slack_never_needs_fewer(work, extra, slack, times):
    more = [a + b for a, b in zip(work, extra + [0.0] * len(work), strict=False)]
    assert needed(more, slack_seconds=slack)[0] >= needed(work, slack_seconds=slack)[0] - 1e-9
    assert needed(work, slack_seconds=slack * times)[0] <= needed(work, slack_seconds=slack)[0]


@given(st.floats(0, 1e4))
def test_work_is_rounded_to_the_microsecond(seconds):
    assert rounded(seconds) == pytest.approx(round(seconds, 6), abs=1.1e-6)
    assert rounded(rounded(seconds)) == rounded(seconds)
