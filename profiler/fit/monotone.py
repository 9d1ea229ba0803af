"""Monotone corrections of a law: what was measured against what the law says.

Both laws grow with every load, so a growing function of the law's own value grows with every load
too, however many loads there are.
"""

from bisect import bisect_right
from collections.abc import Sequence
from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class Correction:
    """A growing function of the law's seconds: linear between knots, of equal ratio outside."""

    law_seconds: tuple[float, ...] = ()
    seconds: tuple[float, ...] = ()

    def __call__(self, law_seconds: float) -> float:
        """Return the corrected time where the law says *law_seconds*."""
        if not self.law_seconds:
            return law_seconds
        if law_seconds <= self.law_seconds[0]:
            return law_seconds * self.seconds[0] / self.law_seconds[0]
        if law_seconds >= self.law_seconds[-1]:
            return law_seconds * self.seconds[-1] / self.law_seconds[-1]
        above = bisect_right(self.law_seconds, law_seconds)
        x0, x1 = self.law_seconds[above - 1 : above + 1]
        y0, y1 = self.seconds[above - 1 : above + 1]
        return y0 + (y1 - y0) * (law_seconds - x0) / (x1 - x0)


def correction(
    law_seconds: Sequence[float], seconds: Sequence[float], *, trust: float
) -> Correction:
    """Return the correction that goes *trust* of the way from the law to what was measured.

    Points that the law tells apart but that were measured the wrong way round are averaged.
    """
    if not trust:
        return Correction()
    merged: dict[float, list[float]] = {}
    for law, measured in zip(law_seconds, seconds, strict=True):
        merged.setdefault(law, []).append(law + trust * (measured - law))
    knots = sorted(merged)
    values = [sum(merged[knot]) / len(merged[knot]) for knot in knots]
    return Correction(law_seconds=tuple(knots), seconds=tuple(isotonic(values)))


def isotonic(values: Sequence[float]) -> list[float]:
    """Return the nearest sequence that never falls: neighbours the wrong way round are pooled."""
    pools: list[tuple[float, int]] = []
    for value in values:
        mean, count = value, 1
        while pools and pools[-1][0] > mean:
            before, many = pools.pop()
            mean, count = (before * many + mean * count) / (many + count), many + count
        pools.append((mean, count))
    return [mean for mean, count in pools for _ in range(count)]
