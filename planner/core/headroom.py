"""The demand to provide for at the end of the lead, with headroom learned from past forecasts.

No constant headroom fits every load: what a smooth day needs and what a bursty tenant needs differ
by a factor of four. So each forecast is kept until its time has come, compared with what did
arrive, and the quantile of those ratios is the headroom of the next one.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from math import exp, log

from planner.core.peaks import Peaks, highest, with_sample

BUCKETS = 64
_LEAST_RATIO = 0.25
_MOST_RATIO = 4.0
_SPAN = log(_MOST_RATIO / _LEAST_RATIO)
_MOST_PROMISES = 32
# The peak alone would hold every burst for its whole window, the average alone would miss the next.
_AVERAGE_SHARE = 0.5
# Headroom before there is evidence.
_FIRST_HEADROOM = 1.15


@dataclass(frozen=True, slots=True, kw_only=True)
class Windows:
    """How far a forecast looks, in seconds."""

    lead_seconds: float
    """Time until a replica asked for now would serve."""
    smoothing_seconds: float
    """Time constant of the average."""
    peak_seconds: float
    """Window of the maximum."""
    memory_seconds: float
    """Time constant by which past errors fade."""
    warm_up_seconds: float
    """No error counts before this much has been seen: the first forecasts know nothing."""
    prior_seconds: float
    """How much evidence the prior counts as."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Series:
    """What is remembered of one role's demand, in replicas."""

    seen_seconds: float = 0.0
    average: float = 0.0
    lagged: float = 0.0
    """Average of the average, which lags it by one more time constant: their gap is the trend."""
    peaks: Peaks = ()
    promises: Peaks = ()
    """(at, forecast before headroom) whose time has not come."""
    errors: tuple[float, ...] = (0.0,) * BUCKETS
    """Requests that arrived at each ratio of demand to forecast, fading; see `_ratio`."""
    judged_seconds: float = 0.0
    """Time over which they arrived, fading alike."""

    def __post_init__(self) -> None:
        """Raise ValueError for a histogram of another size, as an old file may hold."""
        if len(self.errors) != BUCKETS:
            raise ValueError(f"{len(self.errors)} buckets of forecast errors, not {BUCKETS}")


def expected(series: Series, *, windows: Windows) -> float:
    """Return the demand forecast before headroom.

    That is part average and part recent peak, or where the trend leads to when that is more: on a
    ramp the recent past is too low.
    """
    peak = highest(series.peaks) or 0.0
    level = _AVERAGE_SHARE * series.average + (1 - _AVERAGE_SHARE) * peak
    return max(level, _trend(series, windows))


def _trend(series: Series, windows: Windows) -> float:
    """Return the demand one lead ahead by double exponential smoothing, which does not lag."""
    gap = series.average - series.lagged
    return series.average + gap * (1 + windows.lead_seconds / windows.smoothing_seconds)


@dataclass(frozen=True, slots=True, kw_only=True)
class Interval:
    """The demand of *requests* arrivals over the *seconds* that end *at*."""

    at: float
    seconds: float
    demand: float
    requests: int


def learned(series: Series, interval: Interval, *, windows: Windows) -> Series:
    """Return *series* having seen *interval*."""
    at, seconds, demand = interval.at, interval.seconds, interval.demand
    seen = series.seen_seconds + seconds
    gain = min(1.0, seconds / min(seen, windows.smoothing_seconds)) if seen else 1.0
    due, promises = _due(series.promises, at, lead_seconds=windows.lead_seconds)
    fade, hit, judged = 1.0, -1, 0.0
    if due is not None and seen > windows.warm_up_seconds:
        fade = exp(-seconds / windows.memory_seconds)
        hit, judged = _bucket(demand / due if due > 0 else _MOST_RATIO), seconds
    average = series.average + gain * (demand - series.average)
    return Series(
        seen_seconds=seen,
        average=average,
        lagged=series.lagged + gain * (average - series.lagged),
        peaks=with_sample(series.peaks, at, demand, window_seconds=windows.peak_seconds),
        promises=promises,
        errors=tuple(
            weight * fade + (interval.requests if index == hit else 0)
            for index, weight in enumerate(series.errors)
        ),
        judged_seconds=series.judged_seconds * fade + judged,
    )


def promised(series: Series, at: float, forecast: float, *, windows: Windows) -> Series:
    """Return *series* remembering that *forecast* was made *at*, to be judged a lead later."""
    last = series.promises[-1][0] if series.promises else None
    if last is not None and at - last < windows.lead_seconds / (_MOST_PROMISES - 2):
        return series
    return replace(series, promises=(*series.promises, (at, forecast))[-_MOST_PROMISES:])


def _due(promises: Peaks, at: float, *, lead_seconds: float) -> tuple[float | None, Peaks]:
    """Return the forecast made one lead before *at*, if any, and the promises still needed."""
    past = [index for index, (made, _) in enumerate(promises) if made <= at - lead_seconds]
    if not past:
        return None, promises
    return promises[past[-1]][1], promises[past[-1] :]


def _bucket(ratio: float) -> int:
    clipped = min(_MOST_RATIO, max(_LEAST_RATIO, ratio))
    return min(BUCKETS - 1, int(log(clipped / _LEAST_RATIO) / _SPAN * BUCKETS))


def _ratio(position: float) -> float:
    """Return the ratio at *position* buckets from the left edge."""
    return _LEAST_RATIO * exp(position / BUCKETS * _SPAN)


# Shape of the prior: (share of its weight, ratio to the first headroom). Heavy enough to keep the
# start-up's odd ratios from setting the headroom.
_PRIOR_SHAPE = ((0.30, 0.7), (0.30, 0.8), (0.30, 0.9), (0.09, 1.0), (0.01, 1.1))


def headroom(series: Series, *, late_share: float, windows: Windows) -> float:
    """Return the factor by which demand exceeded its forecast for *late_share* of the requests."""
    weights = list(series.errors)
    rate = sum(weights) / series.judged_seconds if series.judged_seconds else 0.0
    for share, ratio in _PRIOR_SHAPE:
        weights[_bucket(ratio * _FIRST_HEADROOM)] += share * windows.prior_seconds * (rate or 1.0)
    return _ratio(_quantile(weights, 1 - late_share))


def _quantile(weights: Sequence[float], share: float) -> float:
    """Return the position in buckets below which *share* of the weights lies."""
    wanted = share * sum(weights)
    for index, weight in enumerate(weights):
        if weight and wanted <= weight:
            return index + wanted / weight
        wanted -= weight
    return float(len(weights))
