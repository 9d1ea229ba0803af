"""The largest value of a sliding window, kept as the few samples that can still become it."""

from collections.abc import Iterator
from operator import sub

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
    start, first, end = at - window_seconds, 0, len(peaks)
    while first < end and peaks[first][0] <= start:
        first += 1
    while first < end and peaks[end - 1][1] <= value:
        end -= 1
    joined = (*peaks[first:end], (at, value))
    return joined if len(joined) <= most else _merged(joined)


def _merged(peaks: Peaks) -> Peaks:
    values = [value for _, value in peaks]
    gaps = list(map(sub, values, values[1:]))
    index = gaps.index(min(gaps))
    merged = (peaks[index + 1][0], peaks[index][1])
    return (*peaks[:index], merged, *peaks[index + 2 :])


def highest(peaks: Peaks) -> float | None:
    """Return the window's largest value, None for an empty one."""
    return peaks[0][1] if peaks else None


def above(peaks: Peaks, value: float) -> Iterator[tuple[float, float]]:
    """Yield the samples above *value*, oldest first."""
    return (peak for peak in peaks if peak[1] > value)
