"""The sliding maximum keeps what can still become the maximum, and little else."""

from hypothesis import given
from hypothesis import strategies as st

from planner.core.peaks import above, highest, with_sample

samples = st.lists(st.tuples(st.floats(0.01, 10), st.floats(0, 100)), max_size=200)


def walked(steps, *, window_seconds):
    at, seen, peaks = 0.0, [], ()
    for gap, value in steps:
        at += gap
        seen.append((at, value))
        peaks = with_sample(peaks, at, value, window_seconds=window_seconds)
    return at, seen, peaks


@given(samples.filter(len), st.floats(0.1, 60))
def test_it_is_the_maximum_of_the_window_and_never_below(steps, window_seconds):
    at, seen, peaks = walked(steps, window_seconds=window_seconds)
    true = max(value for when, value in seen if when > at - window_seconds)
    assert highest(peaks) >= true
    if len(peaks) < 48:
        assert highest(peaks) == true


@given(samples)
def test_it_stays_small_and_falls_from_old_to_new(steps):
    _, _, peaks = walked(steps, window_seconds=1e9)
    assert len(peaks) <= 48
    assert list(peaks) == sorted(peaks, key=lambda peak: (peak[0], -peak[1]))
    assert [value for _, value in peaks] == sorted((v for _, v in peaks), reverse=True)


def test_an_empty_window_has_no_maximum():
    assert highest(()) is None
    assert list(above(((0.0, 3.0), (1.0, 2.0)), 2.0)) == [(0.0, 3.0)]
