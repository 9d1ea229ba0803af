"""The largest value of a sliding window, kept as the few samples that can still become it."""

from collections.abc import Iterator
from itertools import pairwise

Peaks = tuple[tuple[float, float], ...]
"""(at, value) samples, older ones larger: each is the maximum of the window from it on."""

_MOST = 48


def with_sample(
    peaks: Peaks, at: float, value: float, *, window_seconds: float, most: int = _MOST
) -> Peaks:
    """Return *peaks* with a sample taken *at*, without those that left the window.

    The newest sample before the window's start stays out; at most *most* are kept, near-equal
    neighbours being merged into the larger value at the later time, which can only err upwards.
    """
    start = at - window_seconds
    kept = [peak for peak in peaks if peak[0] > start and peak[1] > value]
    joined = (*kept, (at, value))
    return joined if len(joined) <= most else _merged(joined)


def _merged(peaks: Peaks) -> Peaks:
    gaps = [older - newer for (_, older), (_, newer) in pairwise(peaks)]
    index = gaps.index(min(gaps))
    merged = (peaks[index + 1][0], peaks[index][1])
    return (*peaks[:index], merged, *peaks[index + 2 :])


def highest(peaks: Peaks) -> float | None:
    """Return the window's largest value, None for an empty one."""
    return peaks[0][1] if peaks else None


def above(peaks: Peaks, value: float) -> Iterator[tuple[float, float]]:
    """Yield the samples above *value*, oldest first."""
    return (peak for peak in peaks if peak[1] > value)
