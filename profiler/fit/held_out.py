"""Held-out error: each point predicted by a fit that was not given it.

Corners are never held out: without them a fit would have to extrapolate, which a profile does not.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from math import inf, sqrt
from typing import TypeVar

from planner.core.profile import Accuracy, DecodePoint, PrefillPoint
from planner.errors import ProfileError
from profiler.record import student

Point = TypeVar("Point", PrefillPoint, DecodePoint)


@dataclass(frozen=True, slots=True, kw_only=True)
class HeldOut:
    """Relative errors of the points that were held out, one each; none where none could be."""

    errors: tuple[float, ...]

    @property
    def mean(self) -> float:
        """Mean of the errors; infinite without any."""
        return sum(self.errors) / len(self.errors) if self.errors else inf

    def accuracy(self, *, confidence: float | None) -> Accuracy | None:
        """Return the mean with its 95 % interval; None below two errors, which have no spread.

        *confidence* is that of the points themselves.
        """
        count = len(self.errors)
        if count < 2:
            return None
        mean = self.mean
        variance = sum((error - mean) ** 2 for error in self.errors) / (count - 1)
        half = student(count - 1) * sqrt(variance / count)
        return Accuracy(
            held_out=mean,
            held_out_low=max(0.0, mean - half),
            held_out_high=mean + half,
            points=count,
            confidence=confidence,
        )


def held_out(
    points: Sequence[Point],
    predictor: Callable[[Sequence[Point]], Callable[[Point], float]],
    measured: Callable[[Point], float],
    *,
    inner: Sequence[int],
) -> HeldOut:
    """Return the errors at the *inner* points, each predicted from all of the others."""
    errors = []
    for index in inner:
        others = [point for i, point in enumerate(points) if i != index]
        try:
            predict = predictor(others)
        except ProfileError:  # too few are left to fit
            continue
        errors.append(abs(predict(points[index]) / measured(points[index]) - 1))
    return HeldOut(errors=tuple(errors))


def inner_prefill(points: Sequence[PrefillPoint]) -> list[int]:
    """Return the indices of the prompts between the shortest and the longest."""
    lengths = [point.isl for point in points]
    return [i for i, isl in enumerate(lengths) if min(lengths) < isl < max(lengths)]


def inner_decode(points: Sequence[DecodePoint]) -> list[int]:
    """Return the indices of the loads that are none of the corners.

    Those are the least load, the largest batch, and the most KV tokens.
    """
    indices = range(len(points))
    corners = {
        min(indices, key=lambda i: points[i].kv_tokens + points[i].batch),
        max(indices, key=lambda i: points[i].batch),
        max(indices, key=lambda i: points[i].kv_tokens),
    }
    return [i for i in indices if i not in corners]
