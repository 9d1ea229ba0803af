"""Synthetic days, weeks and sines: the rate follows the curve, the rest is the recording's."""

import numpy as np
import pytest

from planner.errors import ConfigError, TraceError
from planner.traces import Trace, open_trace, sine, week, weekday
from planner.traces.diurnal import day_share, week_share


@pytest.fixture(scope="module")
def conversation() -> Trace:
    return open_trace("bundled:azure-conv")


def bursty(seconds: float = 1200.0) -> Trace:
    """Two requests a second, all of them in the first second of every ten."""
    at = np.repeat(np.arange(0.0, seconds, 10.0), 20) + np.tile(
        np.arange(20) / 20, int(seconds / 10)
    )
    return Trace(
        name="bursty",
        arrival_seconds=at,
        isl=100 + np.arange(len(at)) % 7,
        osl=10 + np.arange(len(at)) % 7,
    )


def per_second(trace: Trace, start: float, end: float) -> float:
    at = trace.arrival_seconds
    return float(((at >= start) & (at < end)).sum() / (end - start))


def fluctuation(trace: Trace, share) -> float:
    """Root of the variance of 10 s counts beyond chance, relative to the expected count."""
    counts = np.bincount((trace.arrival_seconds // 10).astype(int))[:-1]
    shares = share((np.arange(len(counts)) + 0.5) * 10)
    expected = shares * counts.sum() / shares.sum()
    return float(np.sqrt(((counts - expected) ** 2 - expected).mean() / (expected**2).mean()))


def test_a_day_follows_the_hours(conversation):
    day = weekday(conversation, seed=3, peak_rps=60, squeeze=8)
    hour = 3600 / 8
    assert day.duration_seconds == pytest.approx(24 * hour, abs=1)
    for clock in (4, 11, 18):
        start, end = (clock - 0.75) * hour, (clock + 0.75) * hour
        share = day_share(np.linspace(clock - 0.75, clock + 0.75, 100)).mean()
        # Four tenants on their own fluctuate by a tenth of their load over minutes.
        assert per_second(day, start, end) == pytest.approx(60 * share, rel=0.2)


def test_a_quarter_of_the_peak_at_four_in_the_morning_and_a_dip_at_lunch():
    four, eleven, lunch, evening, midnight = day_share(np.array([4.0, 11.0, 12.5, 22.5, 24.0]))
    assert (four, eleven) == (0.25, 1.0)
    assert four < evening < lunch < eleven
    assert midnight == day_share(np.array([0.0]))[0]


def test_squeezing_shortens_the_day_and_leaves_bursts_and_lengths(conversation):
    fast = weekday(conversation, seed=3, peak_rps=60, squeeze=12, tenants=1)
    recorded = fluctuation(conversation, np.ones_like)
    assert fluctuation(fast, lambda t: day_share(t * 12 / 3600)) == pytest.approx(recorded, rel=0.3)
    assert fast.isl.mean() == pytest.approx(conversation.isl.mean(), rel=0.05)


def test_tenants_fluctuate_each_on_its_own(conversation):
    one, sixteen = (weekday(conversation, seed=3, peak_rps=160, tenants=n) for n in (1, 16))
    share = lambda t: day_share(t * 4 / 3600)  # noqa: E731
    assert fluctuation(sixteen, share) == pytest.approx(fluctuation(one, share) / 4, rel=0.4)


@pytest.mark.parametrize("build", [weekday, week], ids=["weekday", "week"])
def test_requests_are_sorted_those_of_the_recording_and_reproducible(build):
    base = bursty()
    made, again, other = (build(base, seed=s, peak_rps=4, squeeze=60) for s in (1, 1, 2))
    assert (np.diff(made.arrival_seconds) >= 0).all()
    assert made.arrival_seconds[0] >= 0
    pairs = set(zip(made.isl.tolist(), made.osl.tolist(), strict=True))
    assert pairs == set(zip(base.isl.tolist(), base.osl.tolist(), strict=True))
    np.testing.assert_array_equal(made.arrival_seconds, again.arrival_seconds)
    np.testing.assert_array_equal(made.isl, again.isl)
    assert len(other) != len(made)
    assert made.hash_ids is None


def test_weekends_are_lighter_and_no_two_days_alike(conversation):
    made = week(conversation, seed=5, peak_rps=60, tenants=16, squeeze=84)
    day = 24 * 3600 / 84
    days = [per_second(made, n * day, (n + 1) * day) for n in range(7)]
    assert max(days[5:]) < 0.85 * min(days[:5])
    assert len(set(days)) == 7


def test_levels_of_days_pass_into_one_another():
    levels = np.array([0.9, 1.1, 1.0, 1.0, 1.0, 1.0, 1.0])
    before, after = week_share(np.array([23.999, 24.001]), levels)
    assert before == pytest.approx(after, rel=1e-3)
    assert week_share(np.array([11.0 + 24]), levels)[0] > week_share(np.array([11.0]), levels)[0]


def test_a_sine_starts_low_and_peaks_in_the_middle_of_its_period():
    made = sine(seed=1, duration=6000)
    at = made.arrival_seconds % 600
    assert (at < 30).sum() / 300 == pytest.approx(5.3, rel=0.15)
    assert ((at >= 285) & (at < 315)).sum() / 300 == pytest.approx(45, rel=0.05)
    assert (set(made.isl.tolist()), set(made.osl.tolist())) == ({3000}, {300})
    assert (np.diff(made.arrival_seconds) >= 0).all()


def test_a_sine_takes_lengths_from_a_trace():
    made, base = sine(bursty(), seed=1, duration=600), bursty()
    assert set((made.isl - made.osl).tolist()) == {90}
    assert set(made.isl.tolist()) == set(base.isl.tolist())


@pytest.mark.parametrize(
    "call",
    [
        pytest.param(lambda: weekday(bursty(), seed=1, squeeze=0), id="squeeze of nothing"),
        pytest.param(lambda: weekday(bursty(), seed=1, tenants=0), id="nobody"),
        pytest.param(lambda: week(bursty(), seed=1, peak_rps=-1), id="less than no peak"),
        pytest.param(lambda: sine(seed=1, low=5, high=4), id="high below low"),
        pytest.param(lambda: sine(seed=1, duration=float("inf")), id="endless"),
    ],
)
def test_values_out_of_range_are_refused(call):
    with pytest.raises(ConfigError):
        call()


def test_one_request_makes_no_day():
    single = bursty().rows(np.array([0]), np.array([0.0]))
    with pytest.raises(TraceError):
        weekday(single, seed=1)
