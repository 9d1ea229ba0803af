"""What a forecast is worth: its errors, and the GPU-hours of a fleet that follows it.

The fleet is the simplest that shows the difference. Every tick asks for the forecast times a
headroom learned from past errors, rounded up, and holds the largest number of the last cold start;
what was asked for a cold start ago serves. A tick whose demand is more than serves misses all its
requests. One multiplier on the headroom sets the misses to 0.7 %, so that only cost is left to
compare.
"""

from bisect import bisect_left
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from itertools import accumulate
from math import ceil, exp, log

import numpy as np
from forecast_series import TICK_SECONDS, Demand, Floats
from numpy.lib.stride_tricks import sliding_window_view

UNSCORED_TICKS = 60
MISSES = 0.007
_QUANTILE = 0.98
_MOST_MULTIPLIER = 64.0
_STEPS = 40

_BUCKETS = 80
_LEAST_RATIO, _MOST_RATIO = 0.25, 8.0
_SPAN = log(_MOST_RATIO / _LEAST_RATIO)
_MEMORY_LEADS = 75
_PRIOR_LEADS = 12
_WARM_UP_LEADS = 3
_PRIOR = ((0.91, 0.30), (1.04, 0.30), (1.17, 0.30), (1.3, 0.09), (1.43, 0.01))


@dataclass(frozen=True, slots=True, kw_only=True)
class Figures:
    """How one forecaster did on one series."""

    rmse: float
    """Root mean square error over the mean demand."""
    pinball: float
    """Pinball loss of forecast times headroom at the 0.98 quantile, over the mean demand."""
    gpu_hours: float | None
    """At 0.7 % misses; None when no multiplier up to 64 gets there."""
    misses: float
    """Share of requests missed with the headroom as learned."""


def figures(demand: Demand, forecasts: Floats, *, lead_ticks: int) -> Figures:
    """Return how *forecasts*, each made at its tick for *lead_ticks* later, did on *demand*."""
    learned = headrooms(demand, forecasts, lead_ticks=lead_ticks)
    target = forecasts * learned
    then = demand.workers[UNSCORED_TICKS + lead_ticks :]
    before = slice(UNSCORED_TICKS, len(demand.workers) - lead_ticks)
    error, short = then - forecasts[before], then - target[before]
    pinball = np.maximum(_QUANTILE * short, (_QUANTILE - 1) * short)
    return Figures(
        rmse=float(np.sqrt(np.mean(error**2)) / then.mean()),
        pinball=float(pinball.mean() / then.mean()),
        gpu_hours=_hours_at(MISSES, demand, target, lead_ticks),
        misses=_fleet(demand, target, lead_ticks)[0],
    )


def static_hours(demand: Demand) -> float:
    """Return the GPU-hours of the smallest fleet that never changes and misses 0.7 %."""
    scored = slice(UNSCORED_TICKS, None)
    order = np.argsort(demand.workers[scored])
    served = np.cumsum(demand.requests[scored][order]) / demand.requests[scored].sum()
    size = ceil(demand.workers[scored][order][np.searchsorted(served, 1 - MISSES)])
    return float(size * len(order) * TICK_SECONDS / 3600)


def headrooms(demand: Demand, forecasts: Floats, *, lead_ticks: int) -> Floats:
    """Return the headroom known at each tick: 0.98 of requests came within it of their forecast.

    The planner learns like this too (`planner.core.headroom`), but begins by role and size: a
    histogram of ratios that fades over 75 leads, begun by a prior of 12 leads of traffic around
    1.3, in whole replicas.
    """
    weights, judged, found = [0.0] * _BUCKETS, 0.0, np.empty(len(forecasts))
    fade = exp(-1 / (_MEMORY_LEADS * lead_ticks))
    promises: deque[float] = deque(maxlen=lead_ticks)
    series = zip(demand.workers.tolist(), demand.requests.tolist(), strict=True)
    for tick, (workers, requests) in enumerate(series):
        found[tick] = _quantile(weights, judged, lead_ticks)
        if tick >= (1 + _WARM_UP_LEADS) * lead_ticks:
            weights = [weight * fade for weight in weights]
            judged = judged * fade + 1
            weights[_bucket(ceil(workers) - 1, promises[0])] += requests
        promises.append(float(forecasts[tick]))
    return found


def _bucket(workers: float, forecast: float) -> int:
    ratio = workers / forecast if forecast > 0 else _MOST_RATIO
    if ratio <= _LEAST_RATIO:
        return 0
    return min(_BUCKETS - 1, int(log(ratio / _LEAST_RATIO) / _SPAN * _BUCKETS))


def _quantile(weights: list[float], judged: float, lead_ticks: int) -> float:
    rate = sum(weights) / judged if judged else 1.0
    left = _PRIOR_LEADS * lead_ticks * max(0.01, 1 - judged / (_MEMORY_LEADS * lead_ticks))
    weights = list(weights)
    for ratio, share in _PRIOR:
        weights[_bucket(ratio, 1.0)] += share * left * (rate or 1.0)
    below = list(accumulate(weights))
    wanted = _QUANTILE * below[-1]
    bucket = min(bisect_left(below, wanted), _BUCKETS - 1)
    start = below[bucket - 1] if bucket else 0.0
    part = (wanted - start) / weights[bucket] if weights[bucket] else 1.0
    return _LEAST_RATIO * exp((bucket + min(1.0, part)) / _BUCKETS * _SPAN)


def _fleet(demand: Demand, target: Floats, lead_ticks: int) -> tuple[float, float]:
    """Return the share of requests missed and the GPU-hours of the fleet that follows *target*."""
    cold_ticks = lead_ticks - 1
    asked = _over(np.ceil(target - 1e-9), cold_ticks + 1, np.max)
    ready = np.concatenate([asked[:1], _over(asked, cold_ticks + 1, np.min)[:-1]])
    scored = slice(UNSCORED_TICKS, None)
    requests = demand.requests[scored]
    missed = requests[demand.workers[scored] > ready[scored]].sum() / requests.sum()
    return float(missed), float(asked[scored].sum() * TICK_SECONDS / 3600)


def _over(values: Floats, ticks: int, how: Callable[..., Floats]) -> Floats:
    """Return *how*, np.max or np.min, of the last *ticks* values at each tick."""
    padded = np.concatenate([np.full(ticks - 1, values[0]), values])
    return how(sliding_window_view(padded, ticks), axis=1)


def _hours_at(misses: float, demand: Demand, target: Floats, lead_ticks: int) -> float | None:
    """Return the GPU-hours with the smallest multiplier that leaves *misses*: fewer with more."""
    low, high = 0.0, _MOST_MULTIPLIER
    if _fleet(demand, target * high, lead_ticks)[0] > misses:
        return None
    for _ in range(_STEPS):
        middle = (low * high) ** 0.5 if low else high / 2
        enough = _fleet(demand, target * middle, lead_ticks)[0] <= misses
        low, high = (low, middle) if enough else (middle, high)
        if low and high / low < 1.0005:
            break
    return _fleet(demand, target * high, lead_ticks)[1]
