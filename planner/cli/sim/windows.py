"""What happened minute by minute: figures of the requests that arrived in each window."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import pairwise

import numpy as np

from planner.sim.result import Floats, SimResult

_MOST_WINDOWS = 480
_SECONDS = (60.0, 300.0, 900.0, 3600.0)
_SHORT_SECONDS = 600.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Windows:
    """One figure a window; None where nothing was measured. The last start ends the last window."""

    seconds: float
    starts: list[float]
    rate: list[float | None]
    attainment: list[float | None]
    ttft_p99: list[float | None]
    itl_p99: list[float | None]


def window_seconds(duration: float) -> float:
    """Return how long a window is: a minute, less in a short trace, more in a long one."""
    if duration < _SHORT_SECONDS:
        return 10.0
    return next((s for s in _SECONDS if duration / s <= _MOST_WINDOWS), _SECONDS[-1])


def windows(result: SimResult) -> Windows:
    """Return the figures of *result* by the time of arrival."""
    duration = float(result.arrival_seconds[-1]) if result.requests else 0.0
    seconds = window_seconds(duration)
    edges = np.arange(0.0, duration + seconds, seconds)
    # A last window that the trace does not fill would show too low a rate.
    edges = edges[:-1] if len(edges) > 2 and edges[-1] - duration > seconds / 2 else edges
    bounds = np.searchsorted(result.arrival_seconds, edges)
    within = result.within_sla

    def each(figure: Callable[[int, int], float | None]) -> list[float | None]:
        values = [figure(int(a), int(b)) for a, b in pairwise(bounds)]
        return [*values, values[-1]] if values else []

    return Windows(
        seconds=seconds,
        starts=[float(edge) for edge in edges] if len(edges) > 1 else [],
        rate=each(lambda a, b: (b - a) / seconds),
        attainment=each(lambda a, b: float(within[a:b].mean()) if b > a else None),
        ttft_p99=each(lambda a, b: _p99(result.ttft_seconds[a:b])),
        itl_p99=each(lambda a, b: _p99(result.itl_seconds[a:b])),
    )


def _p99(seconds: Floats) -> float | None:
    measured = seconds[np.isfinite(seconds)]
    return float(np.percentile(measured, 99)) if len(measured) else None


def known(values: list[float | None]) -> Iterator[float]:
    """Yield what was measured."""
    return (value for value in values if value is not None)
