"""When requests arrived: sums over short bins of the wall clock, for the last two minutes.

Counters tell how much came between two looks. A burst between them shows only in bins this short.
"""

from collections.abc import Callable, Collection
from math import ceil
from typing import NamedTuple

BINS_A_SECOND = 4
KEPT_SECONDS = 120
_KEPT = BINS_A_SECOND * KEPT_SECONDS
_SLOTS = _KEPT + 1  # the bin that is not over yet has one too

Clock = Callable[[], float]
"""Returns seconds since the epoch."""


class Bin(NamedTuple):
    """Requests, the sum of their prompts' lengths, and the sum of the squares of these."""

    requests: int
    isl: int
    isl_squared: int


_EMPTY = Bin(0, 0, 0)


class ArrivalBins:
    """A ring of bins. One that is over never changes, unless *wall* is set back."""

    __slots__ = ("_counts", "_isl", "_numbers", "_squared", "_wall")

    def __init__(self, wall: Clock) -> None:
        self._wall = wall
        self._numbers = [-1] * _SLOTS
        self._counts = [0] * _SLOTS
        self._isl = [0] * _SLOTS
        self._squared = [0] * _SLOTS

    def add(self, isl: int) -> None:
        """Count a request that arrives now with a prompt of *isl* tokens."""
        number = int(self._wall() * BINS_A_SECOND)
        slot = number % _SLOTS
        if self._numbers[slot] != number:
            self._numbers[slot] = number
            self._counts[slot] = self._isl[slot] = self._squared[slot] = 0
        self._counts[slot] += 1
        self._isl[slot] += isl
        self._squared[slot] += isl * isl

    def bin(self, number: int) -> Bin:
        """Return the bin *number*, counted from the epoch; empty if it is not kept."""
        slot = number % _SLOTS
        if self._numbers[slot] != number:
            return _EMPTY
        return Bin(self._counts[slot], self._isl[slot], self._squared[slot])


def whole_bins(*, since: float | None, now: float) -> range:
    """Return the numbers of the bins that are kept, over at *now* and not begun before *since*."""
    end = int(now * BINS_A_SECOND)
    oldest = end - _KEPT
    if since is None:
        return range(oldest, end)
    return range(min(end, max(oldest, ceil(since * BINS_A_SECOND))), end)


def arrivals_document(rings: Collection[ArrivalBins], numbers: range) -> dict[str, object]:
    """Return the bins *numbers* of all *rings* together, as the page shows them."""
    bins = [_sum([ring.bin(number) for ring in rings]) for number in numbers]
    return {
        "bin_seconds": 1 / BINS_A_SECOND,
        "end": numbers.stop / BINS_A_SECOND,
        "counts": [one.requests for one in bins],
        "isl": [one.isl for one in bins],
        "isl_squared": [one.isl_squared for one in bins],
    }


def _sum(bins: Collection[Bin]) -> Bin:
    return Bin(*map(sum, zip(*bins, strict=True))) if bins else _EMPTY
