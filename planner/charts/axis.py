"""Axes: which stretch of values they show, where the ticks are, and which pixel a value gets."""

import math
from collections.abc import Iterable
from dataclasses import dataclass
from enum import StrEnum

from planner.core.units import format_duration, format_share

_MINUTE, _HOUR, _DAY = 60.0, 3600.0, 86400.0
_DURATIONS = (
    1.0, 2.0, 5.0, 10.0, 15.0, 30.0, _MINUTE, 2 * _MINUTE, 5 * _MINUTE, 10 * _MINUTE,
    15 * _MINUTE, 30 * _MINUTE, _HOUR, 2 * _HOUR, 3 * _HOUR, 6 * _HOUR, 12 * _HOUR, _DAY,
)  # fmt: skip
_ATTAINMENTS = (0.0, 0.5, 0.8, 0.9, 0.95, 0.98, 0.99, 0.995, 0.998, 0.999, 0.9995, 0.9999)
_FEWEST_MISSES = 1e-4


class Unit(StrEnum):
    """What an axis counts, and so where its ticks are and how they read."""

    NUMBER = "number"
    COUNT = "count"
    """Whole things: no ticks between them."""
    SECONDS = "seconds"
    SHARE = "share"
    ATTAINMENT = "attainment"
    """A share near one, spread by what misses: 90 % to 99 % is as far as 99 % to 99.9 %."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Axis:
    """What an axis says and shows; an end left out follows from the values."""

    label: str
    unit: Unit = Unit.NUMBER
    low: float | None = None
    high: float | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Scale:
    """Puts values between *low* and *high* on pixels between *start* and *end*."""

    unit: Unit
    low: float
    high: float
    start: float
    end: float

    def at(self, value: float) -> float:
        """Return the pixel of *value*; what lies outside gets the nearest end."""
        low, high = _stretched(self.unit, self.low), _stretched(self.unit, self.high)
        share = (_stretched(self.unit, value) - low) / (high - low)
        return self.start + min(1.0, max(0.0, share)) * (self.end - self.start)

    def ticks(self, at_most: int) -> list[float]:
        """Return round values between the ends, not many more than *at_most*."""
        if self.unit is Unit.ATTAINMENT:
            return [share for share in _ATTAINMENTS if self.low <= share <= self.high]
        step = _step(self.unit, (self.high - self.low) / at_most)
        first = math.ceil(self.low / step - 1e-9)
        last = math.floor(self.high / step + 1e-9)
        return [round(index * step, 12) for index in range(first, last + 1)]


def written(unit: Unit, value: float) -> str:
    """Return *value* as a tick or a hint says it."""
    if unit is Unit.SECONDS:
        return format_duration(value)
    return f"{value:.6g}" if unit in (Unit.NUMBER, Unit.COUNT) else format_share(value)


def scale(axis: Axis, values: Iterable[float], *, start: float, end: float) -> Scale:
    """Return where *values* go between the pixels *start* and *end*.

    Ends that the axis leaves open lie at round values around all *values*.
    """
    known = [value for value in values if math.isfinite(value)] or [0.0]
    if axis.unit is Unit.ATTAINMENT:
        low, high = _attainments(known)
    else:
        low, high = _round_ends(axis, known)
    return Scale(
        unit=axis.unit,
        low=low if axis.low is None else axis.low,
        high=high if axis.high is None else axis.high,
        start=start,
        end=end,
    )


def _round_ends(axis: Axis, values: list[float]) -> tuple[float, float]:
    low = min(values) if axis.low is None else axis.low
    high = max(values) if axis.high is None else axis.high
    if high <= low:
        high = low + (0.01 if axis.unit is Unit.SHARE else 1.0)
    step = _step(axis.unit, (high - low) / 5)
    return math.floor(low / step + 1e-9) * step, math.ceil(high / step - 1e-9) * step


def _attainments(values: list[float]) -> tuple[float, float]:
    low = max(share for share in _ATTAINMENTS if share <= max(0.0, min(values)))
    above = [share for share in _ATTAINMENTS if share > max(values)]
    return min(low, 0.98), max(above[0] if above else _ATTAINMENTS[-1], 0.998)


def _stretched(unit: Unit, value: float) -> float:
    if unit is not Unit.ATTAINMENT:
        return value
    return -math.log10(max(1 - value, _FEWEST_MISSES))


def _step(unit: Unit, least: float) -> float:
    """Return the smallest round step of at least *least*."""
    if unit is Unit.SECONDS and 1.0 < least <= _DURATIONS[-1]:
        return next(step for step in _DURATIONS if step >= least)
    if unit is Unit.COUNT and least < 1:
        return 1.0
    size = float(10 ** math.floor(math.log10(least)))
    factor = next(factor for factor in (1, 2, 5, 10) if factor * size >= least * (1 - 1e-9))
    return float(factor * size)
