"""Tells tokens that came one by one from tokens that were held up on the way and came in heaps."""

from collections.abc import Sequence
from itertools import pairwise

_APART_SECONDS = 0.0002
_TOLERATED = 0.1


def is_bursty(moments: Sequence[float]) -> bool:
    """Return whether so many tokens came together that the gaps between them say nothing.

    No engine takes a step in under 0.2 ms: a tenth of the gaps below that are somebody's buffer.
    """
    gaps = [later - earlier for earlier, later in pairwise(moments)]
    together = sum(gap < _APART_SECONDS for gap in gaps)
    return together > _TOLERATED * len(gaps)
