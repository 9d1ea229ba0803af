"""The demand to provide for at the end of the lead, with headroom learned from past forecasts.

No constant headroom fits every load: what a smooth day needs and what a bursty tenant needs differ
by a factor of three. So each forecast is kept until its time has come, compared with what did
arrive, and the quantile of those ratios is the headroom of the next one.
"""

from bisect import bisect, bisect_left
from dataclasses import dataclass, field
from functools import cache
from itertools import accumulate
from math import exp, log, sqrt

from planner.core.forecast import MEMBERS, Forecasts, Horizon, Member, expected, seen
from planner.core.peaks import Peaks, with_sample
from planner.core.role import Role
from planner.core.value import value

# Forecasts that are off by more than this say too little.
BURST_HEADROOM = 2.0
BUCKETS = 80
_LEAST_RATIO = 0.25
_MOST_RATIO = 8.0
_SPAN = log(_MOST_RATIO / _LEAST_RATIO)
_MOST_PROMISES = 32
_DIGITS = 4
_MOST_BURSTS = 16
# Before there is evidence: the error of a forecast at once, and its growth with the lead as of a
# random walk, both as variances; and how much of it a role's demand shows. Decode's lags behind
# arrivals, so it varies less.
_VARIANCE_AT_ONCE = 0.17
_VARIANCE_A_SECOND = 0.0009
_SHOWN = {Role.PREFILL: 1.0, Role.DECODE: 0.3, Role.AGGREGATED: 1.0}
# The shape of the prior: (share of its weight, ratio to the first headroom). Heavy enough to keep
# the start-up's odd ratios from setting the headroom.
_PRIOR_SHAPE = ((0.30, 0.7), (0.30, 0.8), (0.30, 0.9), (0.09, 1.0), (0.01, 1.1))
# Fewer replicas than these vary more, by the root of what they are fewer: so does the prior, up to
# this factor, until so much evidence says what is true here.
_SMALL_REPLICAS = 3.0
_MOST_SMALL_FACTOR = 1.4
_SMALL_SECONDS = 1800.0
# Part of the prior that stays for ever: without traffic all else fades away.
_LEAST_PRIOR = 0.01


@dataclass(frozen=True, slots=True, kw_only=True)
class Windows:
    """How far a forecast looks, in seconds, and by whom it is made."""

    horizon: Horizon
    among: tuple[Member, ...] = MEMBERS
    """The forecasters whose ensemble is taken."""
    burst_seconds: float
    """Window in which bursts are remembered that outrun every forecast."""
    memory_seconds: float
    """Time constant by which past errors fade."""
    warm_up_seconds: float
    """No error counts before this much has been seen: the first forecasts know nothing."""
    prior_seconds: float
    """How much evidence the prior counts as; it fades as evidence does."""


@value
class Interval:
    """The demand of the *seconds* that end *at*, in replicas, by equal parts of the interval."""

    at: float
    seconds: float
    demands: tuple[float, ...]
    requests: tuple[int, ...]
    """Arrivals of each part: by how many an error counts."""

    @property
    def peak(self) -> float:
        """Largest demand of its parts."""
        return max(self.demands)


@value
class Series:
    """What is remembered of one role's demand, in replicas."""

    forecasts: Forecasts = field(default_factory=Forecasts)
    bursts: Peaks = ()
    """What can still be the largest demand of a window of bursts."""
    forecast: float = 0.0
    """The demand at the end of the lead, before headroom."""
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


def learned(series: Series, interval: Interval, *, windows: Windows) -> Series:
    """Return *series* having seen *interval*, and made its next forecast."""
    at, seconds = interval.at, interval.seconds
    lead_seconds = windows.horizon.lead_seconds
    due, promises = _due(series.promises, at, lead_seconds=lead_seconds)
    errors, judged = series.errors, series.judged_seconds
    forecasts = seen(
        series.forecasts,
        at=at,
        seconds=seconds,
        value=interval.peak,
        horizon=windows.horizon,
        weight=float(sum(interval.requests)),
    )
    if due is not None and forecasts.seen_seconds > windows.warm_up_seconds:
        fade = exp(-seconds / windows.memory_seconds)
        errors = _with_errors(errors, interval, due=due, fade=fade)
        judged = judged * fade + seconds
    forecast = expected(forecasts, horizon=windows.horizon, among=windows.among)
    return Series(
        forecasts=forecasts,
        forecast=forecast,
        bursts=with_sample(
            series.bursts,
            at,
            forecasts.last,
            window_seconds=windows.burst_seconds,
            most=_MOST_BURSTS,
        ),
        promises=_promised(promises, at, forecast, lead_seconds=lead_seconds),
        errors=errors,
        judged_seconds=judged,
    )


def _with_errors(
    errors: tuple[float, ...], interval: Interval, *, due: float, fade: float
) -> tuple[float, ...]:
    weights = [weight * fade for weight in errors]
    for demand, requests in zip(interval.demands, interval.requests, strict=True):
        if requests:
            weights[bisect(_EDGES, demand / due) if due > 0 else BUCKETS - 1] += requests
    return tuple(weights)


def _promised(promises: Peaks, at: float, forecast: float, *, lead_seconds: float) -> Peaks:
    """Return *promises* with the *forecast* made *at*, to be judged a lead later."""
    if promises and at - promises[-1][0] < lead_seconds / (_MOST_PROMISES - 2):
        return promises
    return (*promises, (at, round(forecast, _DIGITS)))[-_MOST_PROMISES:]


def _due(promises: Peaks, at: float, *, lead_seconds: float) -> tuple[float | None, Peaks]:
    """Return the forecast made one lead before *at*, if any, and the promises still needed."""
    past = -1
    for index, (made, _) in enumerate(promises):
        if made > at - lead_seconds:
            break
        past = index
    return (None, promises) if past < 0 else (promises[past][1], promises[past:])


def _ratio(position: float) -> float:
    """Return the ratio at *position* buckets from the left edge."""
    return _LEAST_RATIO * exp(position / BUCKETS * _SPAN)


_EDGES = tuple(_ratio(position) for position in range(1, BUCKETS))
"""Ratios at which one bucket ends and the next begins."""

# That no forecast is worth anything takes evidence: a prior alone never says so.
_MOST_PRIOR = bisect(_EDGES, BURST_HEADROOM) - 1


@cache
def _prior(role: Role, lead_seconds: float) -> tuple[tuple[int, float], ...]:
    """Return (bucket, share of the prior's weight) of each ratio that is believed in at first."""
    variance = _VARIANCE_AT_ONCE + _VARIANCE_A_SECOND * lead_seconds
    first = 1 + _SHOWN[role] * sqrt(variance)
    return tuple((bisect(_EDGES, ratio * first), share) for share, ratio in _PRIOR_SHAPE)


def _small_factor(series: Series) -> float:
    """Return the factor on the prior for a demand of few replicas; 1 before any was seen."""
    if not 0 < series.forecast < _SMALL_REPLICAS:
        return 1.0
    if series.judged_seconds >= _SMALL_SECONDS:
        return 1.0
    trust = 1 - series.judged_seconds / _SMALL_SECONDS
    factor: float = (_SMALL_REPLICAS / series.forecast) ** (0.5 * trust)
    return min(_MOST_SMALL_FACTOR, factor)


def _bucket_steps(factor: float) -> int:
    """Return how many buckets lie between a ratio and *factor* times it."""
    return round(log(factor) / _SPAN * BUCKETS)


@dataclass(frozen=True)
class Errors:
    """How demand turned out against its forecast: the distribution of their ratio.

    Shares are of requests. With little evidence it is the prior's.
    """

    below: tuple[float, ...]
    """Weight of each bucket and those before it."""

    @classmethod
    def of(cls, role: Role, series: Series, *, windows: Windows) -> "Errors":
        """Return what *series* has learned, together with what is left of the prior."""
        weights = list(series.errors)
        judged = series.judged_seconds
        rate = sum(weights) / judged if judged else 0.0
        left = windows.prior_seconds * max(_LEAST_PRIOR, 1 - judged / windows.memory_seconds)
        factor, rate = _small_factor(series), rate or 1.0
        moved = 0 if factor == 1 else _bucket_steps(factor)
        for bucket, share in _prior(role, windows.horizon.lead_seconds):
            weights[min(bucket + moved, _MOST_PRIOR)] += share * left * rate
        return cls(tuple(accumulate(weights)))

    def headroom(self, late_share: float) -> float:
        """Return the factor by which demand exceeded its forecast for *late_share* of requests."""
        below = self.below
        wanted = (1 - late_share) * below[-1]
        bucket = min(bisect_left(below, wanted), BUCKETS - 1)
        start = below[bucket - 1] if bucket else 0.0
        weight = below[bucket] - start
        return _ratio(bucket + (min(1.0, (wanted - start) / weight) if weight else 1.0))

    def share_within(self, factor: float) -> float:
        """Return the share of requests for which *factor* times the forecast was enough."""
        if factor <= _LEAST_RATIO:
            return 0.0
        if factor >= _MOST_RATIO:
            return 1.0
        position = log(factor / _LEAST_RATIO) / _SPAN * BUCKETS
        bucket = min(int(position), BUCKETS - 1)
        below = self.below
        start = below[bucket - 1] if bucket else 0.0
        within = start + (position - bucket) * (below[bucket] - start)
        return within / below[-1] if below[-1] else 1.0
