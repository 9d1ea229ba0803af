"""Amounts as a histogram tells them: how many, their sum, and how many are below each edge."""

from dataclasses import dataclass
from itertools import pairwise
from math import inf, isclose

from planner.core.observation import Quantiles


@dataclass(frozen=True, slots=True, kw_only=True)
class Distribution:
    """Amounts counted in buckets. *below* holds (edge, amounts up to it), by edge, maybe none."""

    total: float
    count: float
    below: tuple[tuple[float, float], ...] = ()

    @property
    def mean(self) -> float | None:
        """The mean; None when nothing was counted."""
        return self.total / self.count if self.count > 0 else None

    def share_up_to(self, limit: float) -> float | None:
        """Return the share of amounts up to *limit*; None where that is no edge, or without any."""
        counts = [count for edge, count in self.below if isclose(edge, limit, rel_tol=1e-9)]
        if not counts or self.count <= 0:
            return None
        return min(1.0, counts[0] / self.count)

    @property
    def quantiles(self) -> Quantiles | None:
        """How the amounts are spread; None without any, or without buckets that hold all of them.

        Within a bucket amounts are taken as spread evenly, from 0 on in the first one. In the last
        one, which has no upper edge, a quantile is its lower edge: the least that it can be.
        """
        if len(self.below) < 2 or self.below[-1][0] < inf or self.below[-1][1] <= 0:
            return None
        return Quantiles(
            p50=self._quantile(0.5), p95=self._quantile(0.95), p99=self._quantile(0.99)
        )

    def _quantile(self, share: float) -> float:
        rank = share * self.below[-1][1]
        before = 0.0
        for low, high, count in _pieces(self.below[:-1]):
            if count > 0 and before + count >= rank:
                return low + (high - low) * (rank - before) / count
            before += count
        return self.below[-2][0]

    @property
    def square_sum(self) -> float:
        """The sum of the squares, as far as the buckets tell: at least what equal amounts have.

        Within a bucket amounts are taken as spread evenly, and in the last one, which has no upper
        edge, as equal to what is left of the sum. Then all are scaled to the sum that is known.
        """
        if self.count <= 0:
            return 0.0
        least = self.total**2 / self.count
        pieces = [piece for piece in _pieces(self.below) if piece[2] > 0]
        closed = [(low, high, count) for low, high, count in pieces if high < inf]
        total = sum(count * (low + high) / 2 for low, high, count in closed)
        squares = sum(
            count * (low * low + low * high + high * high) / 3 for low, high, count in closed
        )
        for low, _, count in pieces[len(closed) :]:
            amount = max(low, (self.total - total) / count)
            total += count * amount
            squares += count * amount * amount
        return max(least, squares * (self.total / total) ** 2) if total > 0 else least


def _pieces(below: tuple[tuple[float, float], ...]) -> list[tuple[float, float, float]]:
    """Return (lower edge, upper edge, amounts) of each bucket."""
    edges = ((0.0, 0.0), *below)
    return [(low, high, upto - before) for (low, before), (high, upto) in pairwise(edges)]


def added(parts: list[Distribution]) -> Distribution:
    """Return *parts* as one. Edges that not all of them have are left out."""
    edges = set.intersection(*({edge for edge, _ in one.below} for one in parts)) if parts else ()
    return Distribution(
        total=sum(one.total for one in parts),
        count=sum(one.count for one in parts),
        below=tuple(
            (edge, sum(count for one in parts for at, count in one.below if at == edge))
            for edge in sorted(edges)
        ),
    )


def scaled(one: Distribution, factor: float) -> Distribution:
    """Return *one* with *factor* times as many amounts."""
    return Distribution(
        total=one.total * factor,
        count=one.count * factor,
        below=tuple((edge, count * factor) for edge, count in one.below),
    )
