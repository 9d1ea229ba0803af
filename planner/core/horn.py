"""How many servers would have kept a deadline on the work that arrived.

Horn's bound: N servers finish all work by its deadline only if, of any span, no more arrived than
they can do until the deadline of the last. Here every span ends at a bin and all work has the same
slack, so the least N is the largest of work / (span + slack). It sees a burst of a second as well
as a minute of steady load, which no mean over an interval does.
W. A. Horn, "Some simple scheduling algorithms", Naval Research Logistics Quarterly 21 (1974).
"""

from collections.abc import Sequence
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

LOOK_BACK = 240
"""Bins that the longest span has: longer ones only tell the mean."""

UNITS = 1e6
"""Work is kept to the microsecond: more digits are most of a state's size, and say nothing."""

# All short spans, then each a tenth longer: work / span changes little in between.
_SPANS = np.unique(np.round(np.geomspace(1, LOOK_BACK, 48)).astype(int))
_MIDDLES = _SPANS[:, None] - 0.5


def servers(
    work: Sequence[float], *, bins: int, bin_seconds: float, slack_seconds: float
) -> NDArray[np.float64]:
    """Return how many servers each of the last *bins* bins of *work* would have needed.

    *work* is in server-seconds a bin, oldest first; before it there was none. What arrives within
    a bin arrives at its middle on average.
    """
    most = LOOK_BACK + bins
    total = np.zeros(most + 1)
    taken = np.fromiter(work[-most:], dtype=float)
    np.add.accumulate(taken, out=total[most + 1 - len(taken) :])
    spans = _MIDDLES * bin_seconds + slack_seconds
    arrived = total[LOOK_BACK + 1 :] - total.take(_starts(bins))
    needed: NDArray[np.float64] = np.maximum.reduce(arrived / spans)
    return needed


@lru_cache(maxsize=16)
def _starts(bins: int) -> NDArray[np.int64]:
    """Return where the spans start that end at each of the last *bins* bins: a row for a span."""
    starts: NDArray[np.int64] = np.arange(LOOK_BACK + 1, LOOK_BACK + bins + 1) - _SPANS[:, None]
    return starts


def rounded(seconds: float) -> float:
    """Return *seconds* of work to the microsecond, as `round` does in five times the time."""
    return int(seconds * UNITS + 0.5) / UNITS


def spread(
    work: list[float], at: int, seconds: float, *, longest: float, bin_seconds: float
) -> None:
    """Add *seconds* of work that arrived in bin *at* to *work*, which grows as needed.

    One request cannot use two servers at once, so the work of requests that take *longest* seconds
    each is due over that time and not all at once.
    """
    bins = max(1, min(LOOK_BACK, round(longest / bin_seconds)))
    if len(work) < at + bins:
        work.extend([0.0] * (at + bins - len(work)))
    if bins == 1:
        work[at] = rounded(work[at] + seconds)
        return
    for index in range(at, at + bins):
        work[index] = rounded(work[index] + seconds / bins)
