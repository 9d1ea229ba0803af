"""What a replay came to: attainment, and percentiles of TTFT and ITL."""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from planner.core.sla import Sla
from planner.replay.measurement import Measurement, Status

_LATE_SECONDS = 0.05


@dataclass(frozen=True, slots=True, kw_only=True)
class Percentiles:
    """Percentiles and mean of a latency, in milliseconds."""

    mean: float
    p50: float
    p95: float
    p99: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Report:
    """The result of a replay; None stands for what nobody measured.

    *requests* are those sent. *attainment* is the share of them that completed inside the SLA,
    leaving out the interrupted ones: late and failed requests are misses.
    """

    requests: int
    completed: int
    failed: int
    interrupted: int
    attainment: float | None
    ttft_ms: Percentiles | None
    itl_ms: Percentiles | None
    duration_seconds: float
    output_tokens: int
    output_tokens_per_second: float | None
    failures: Mapping[str, int]
    """How many requests failed for which reason, most frequent first."""
    sent_late: int
    """Requests that the load generator itself sent over 50 ms late: above a few, its machine is
    too busy for the figures to be the server's."""


def report(
    measurements: Sequence[Measurement], *, sla: Sla | None, duration_seconds: float
) -> Report:
    """Return what *measurements* come to under *sla*; without one attainment is None."""
    completed = [m for m in measurements if m.status is Status.COMPLETED]
    failed = [m for m in measurements if m.status is Status.FAILED]
    tokens = sum(m.tokens or 0 for m in completed)
    return Report(
        requests=len(measurements),
        completed=len(completed),
        failed=len(failed),
        interrupted=len(measurements) - len(completed) - len(failed),
        attainment=_attainment([*completed, *failed], sla),
        ttft_ms=_percentiles([m.ttft_seconds for m in completed]),
        itl_ms=_percentiles([m.itl_seconds for m in completed]),
        duration_seconds=duration_seconds,
        output_tokens=tokens,
        output_tokens_per_second=tokens / duration_seconds if duration_seconds > 0 else None,
        failures=dict(Counter(m.error or "unknown" for m in failed).most_common()),
        sent_late=sum(m.late_seconds > _LATE_SECONDS for m in measurements),
    )


def _attainment(ended: Sequence[Measurement], sla: Sla | None) -> float | None:
    if sla is None or not ended:
        return None
    return sum(m.within(sla) for m in ended) / len(ended)


def _percentiles(seconds: Sequence[float | None]) -> Percentiles | None:
    known = np.array([s for s in seconds if s is not None]) * 1e3
    if not len(known):
        return None
    p50, p95, p99 = np.percentile(known, [50, 95, 99]).tolist()
    return Percentiles(mean=float(known.mean()), p50=p50, p95=p95, p99=p99)
