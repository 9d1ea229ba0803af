"""What a run is judged by: the share of requests kept, and the GPU time that it took."""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from planner.sim.result import SimResult

UNSCORED_SECONDS = 300.0
"""The start tells more about the fleet that a run began with than about its policy."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Score:
    """A run from some moment on; percentiles are None where nothing was measured.

    GPU time counts until the last arrival: what drains after it is the same for everybody.
    """

    requests: int
    attainment: float
    gpu_hours: float
    scale_actions: int
    ttft_p99_seconds: float | None
    itl_p99_seconds: float | None


def score(result: SimResult, *, start_seconds: float = UNSCORED_SECONDS) -> Score:
    """Return how *result* did on the requests that arrived from *start_seconds* on.

    No request at all counts as attained.
    """
    chosen = result.arrival_seconds >= start_seconds
    end = float(result.arrival_seconds[-1]) if len(chosen) else 0.0
    return Score(
        requests=int(chosen.sum()),
        attainment=float(result.within_sla[chosen].mean()) if chosen.any() else 1.0,
        gpu_hours=result.gpu_seconds_between(start_seconds, end) / 3600,
        scale_actions=sum(at >= start_seconds for at in result.actions),
        ttft_p99_seconds=_p99(result.ttft_seconds[chosen]),
        itl_p99_seconds=_p99(result.itl_seconds[chosen]),
    )


def _p99(seconds: npt.NDArray[np.float64]) -> float | None:
    measured = seconds[np.isfinite(seconds)]
    return float(np.percentile(measured, 99)) if len(measured) else None
