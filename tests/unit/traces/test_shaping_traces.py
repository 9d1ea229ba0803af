"""Bending time and volume keeps lengths real, arrivals in order and chance under a seed."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from planner.errors import ConfigError
from planner.traces import Trace, amplify, head, speed, swing, thin, window


def trace_of(
    arrivals: list[float], *, hash_ids: tuple[tuple[int, ...], ...] | None = None
) -> Trace:
    n = len(arrivals)
    return Trace(
        name="t",
        arrival_seconds=np.array(sorted(arrivals)),
        isl=np.arange(1, n + 1),
        osl=np.arange(n, 0, -1),
        hash_ids=hash_ids,
    )


STEADY = trace_of([0.5 * i for i in range(1000)])


def rng(seed: int = 1) -> np.random.Generator:
    return np.random.default_rng(seed)


def test_a_window_starts_at_zero():
    part = window(STEADY, start=10, duration=5)
    assert part.arrival_seconds.tolist() == [0.5 * i for i in range(10)]
    assert part.isl[0] == 21


def test_head_keeps_the_first_seconds():
    assert len(head(STEADY, 5)) == 10


def test_speed_compresses_time():
    assert speed(STEADY, 4).duration_seconds == pytest.approx(STEADY.duration_seconds / 4)


def test_thinning_keeps_about_its_share():
    assert 400 < len(thin(STEADY, share=0.5, rng=rng())) < 600


def test_amplify_multiplies_requests_and_keeps_order_and_lengths():
    more = amplify(STEADY, 3, rng=rng())
    assert len(more) == 3 * len(STEADY)
    assert (np.diff(more.arrival_seconds) >= 0).all()
    assert sorted(more.isl) == sorted(STEADY.isl.tolist() * 3)
    assert more.duration_seconds == STEADY.duration_seconds


def test_amplify_gathers_no_crowd_at_the_edges():
    t = amplify(STEADY, 5, rng=rng()).arrival_seconds
    counts = np.histogram(t, bins=50)[0]
    assert counts.max() < 1.3 * counts.mean()
    assert (t == 0).sum() == 1


def test_amplify_is_the_same_for_the_same_seed_and_not_for_another():
    same = amplify(STEADY, 2, rng=rng()).arrival_seconds
    assert np.array_equal(same, amplify(STEADY, 2, rng=rng()).arrival_seconds)
    assert not np.array_equal(same, amplify(STEADY, 2, rng=rng(2)).arrival_seconds)


def test_copies_share_prefixes_among_themselves_only():
    pair = trace_of([0.0, 1.0], hash_ids=((0, 1), (0, 2)))
    more = amplify(pair, 2, rng=rng())
    assert more.hash_ids is not None
    assert sorted(more.hash_ids) == [(0, 1), (0, 2), (3, 4), (3, 5)]


def test_swing_runs_between_low_and_high():
    bent = swing(STEADY, low=1, high=6, period=100).arrival_seconds
    pace = 0.5 / np.diff(bent)  # recorded seconds per replayed second
    at = (bent[1:] + bent[:-1]) / 2
    assert pace[(at > 48) & (at < 52)].mean() == pytest.approx(6, rel=0.02)
    assert pace[at < 3].mean() == pytest.approx(1, rel=0.05)
    assert pace.min() >= 0.999
    assert pace.max() <= 6.001


@given(
    st.lists(st.floats(0, 1e5), min_size=1, max_size=30),
    st.floats(0.01, 10),
    st.floats(1, 20),
    st.floats(0.1, 1e4),
)
def test_a_swing_keeps_order_and_stays_between_the_two_speeds(arrivals, low, ratio, period):
    recorded = trace_of(arrivals)
    bent = swing(recorded, low=low, high=low * ratio, period=period)
    assert (np.diff(bent.arrival_seconds) >= 0).all()
    slack = 1e-6 * (1 + bent.arrival_seconds)
    assert (bent.arrival_seconds <= recorded.arrival_seconds / low + slack).all()
    assert (bent.arrival_seconds >= recorded.arrival_seconds / (low * ratio) - slack).all()


def test_a_flat_swing_is_a_speed():
    flat = swing(STEADY, low=2, high=2, period=60).arrival_seconds
    assert flat == pytest.approx(speed(STEADY, 2).arrival_seconds)


@pytest.mark.parametrize(
    ("shape", "message"),
    [
        pytest.param(lambda t: speed(t, 0), "speed 0: must be", id="speed 0"),
        pytest.param(lambda t: speed(t, float("inf")), "speed inf", id="speed inf"),
        pytest.param(lambda t: window(t, start=0, duration=-1), "window duration -1", id="window"),
        pytest.param(lambda t: thin(t, share=2, rng=rng()), "share of a trace 2", id="share"),
        pytest.param(lambda t: amplify(t, 0, rng=rng()), "amplify 0", id="amplify"),
        pytest.param(lambda t: swing(t, low=0, high=1, period=9), "swing 0", id="swing low"),
        pytest.param(lambda t: swing(t, low=3, high=1, period=9), "swing 3:1", id="swing order"),
        pytest.param(lambda t: swing(t, low=1, high=2, period=0), "swing period 0", id="period"),
    ],
)
def test_a_shape_that_makes_no_sense_is_refused(shape, message):
    with pytest.raises(ConfigError, match=message):
        shape(STEADY)
