"""A local linear trend, filtered: Dynamo's `kalman` load predictor with its default noise."""

from dataclasses import dataclass

_LEVEL_NOISE = 1.0
_TREND_NOISE = 0.1
_MEASURE_NOISE = 10.0
_FIRST_VARIANCE = 1000.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Trend:
    """A level and its trend one interval ahead, with their covariance."""

    level: float
    trend: float
    level_variance: float
    covariance: float
    trend_variance: float


def seen(before: Trend | None, value: float) -> Trend:
    """Return the state one interval after *value* was seen; its level is the forecast."""
    if before is None:
        return _ahead(value, 0.0, _FIRST_VARIANCE, 0.0, _FIRST_VARIANCE)
    total = before.level_variance + _MEASURE_NOISE
    level_gain, trend_gain = before.level_variance / total, before.covariance / total
    error = value - before.level
    return _ahead(
        before.level + level_gain * error,
        before.trend + trend_gain * error,
        (1 - level_gain) * before.level_variance,
        (1 - level_gain) * before.covariance,
        before.trend_variance - trend_gain * before.covariance,
    )


def _ahead(
    level: float, trend: float, level_variance: float, covariance: float, trend_variance: float
) -> Trend:
    return Trend(
        level=level + trend,
        trend=trend,
        level_variance=level_variance + 2 * covariance + trend_variance + _LEVEL_NOISE,
        covariance=covariance + trend_variance,
        trend_variance=trend_variance + _TREND_NOISE,
    )
