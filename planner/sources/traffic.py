"""Traffic out of the frontends' counters."""

from collections.abc import Sequence

from planner.core.observation import Arrivals, Latencies, Quantiles, Traffic
from planner.sources.distribution import added, scaled
from planner.sources.engines.names import Amounts, histogram
from planner.sources.growth import Growth
from planner.sources.readings import distribution

PREFIX = "planner_frontend_"
IN_FLIGHT = f"{PREFIX}inflight_requests"
_ISL = f"{PREFIX}input_sequence_tokens"
_ISL_SQUARED = f"{PREFIX}input_sequence_tokens_squared_total"
_OSL = f"{PREFIX}output_sequence_tokens"
_CONTEXT_OSL = f"{PREFIX}context_output_tokens_total"
_REQUESTS = f"{PREFIX}requests_total"
_WITHIN_SLA = f"{PREFIX}requests_within_sla_total"
_TTFT = f"{PREFIX}time_to_first_token_seconds"
_ITL = f"{PREFIX}inter_token_latency_seconds"
# A request that was refused as invalid, or whose client left, is no failure of the deployment.
_FAILED = ("unavailable", "deadline", "error")
COUNTERS = frozenset(
    {_ISL_SQUARED, _CONTEXT_OSL, _REQUESTS, _WITHIN_SLA}
    | {f"{name}_{part}" for name in (_ISL, _OSL, _TTFT, _ITL) for part in ("sum", "count")}
)
"""Every counter that traffic is made of."""
NAMES = COUNTERS | {IN_FLIGHT}
"""Every sample of a frontend without which something is unknown that decisions are made of."""
HISTOGRAMS = frozenset({_TTFT, _ITL})
"""Histograms whose buckets are of use."""
BUCKETS = frozenset(f"{name}_bucket" for name in HISTOGRAMS)
"""Their samples."""


def traffic(growths: Sequence[Growth], *, arrivals: Arrivals | None = None) -> Traffic | None:
    """Return what all frontends counted together; None when any part of it is not known.

    Their windows differ when one missed a look. Rates are what adds up, so each one's counts are
    stretched to the longest window.
    """
    seconds = max((growth.seconds for growth in growths), default=0.0)
    counts = {name: _sum(growths, seconds, name) for name in COUNTERS}
    known = {name: count for name, count in counts.items() if count is not None}
    if not growths or len(known) < len(counts):
        return None
    failed = (_sum(growths, seconds, _REQUESTS, status=status) or 0.0 for status in _FAILED)
    return Traffic(
        seconds=seconds,
        arrived=round(known[f"{_ISL}_count"]),
        isl_sum=known[f"{_ISL}_sum"],
        isl_squared_sum=known[_ISL_SQUARED],
        finished=round(known[f"{_OSL}_count"]),
        osl_sum=known[f"{_OSL}_sum"],
        context_osl_sum=known[_CONTEXT_OSL],
        failed=round(sum(failed)),
        within_sla=round(known[_WITHIN_SLA]),
        ttft_sum=known[f"{_TTFT}_sum"],
        ttft_count=round(known[f"{_TTFT}_count"]),
        itl_sum=known[f"{_ITL}_sum"],
        itl_count=round(known[f"{_ITL}_count"]),
        arrivals=arrivals,
    )


def latencies(growths: Sequence[Growth]) -> Latencies | None:
    """Return how latencies of all frontends together are spread; None where one does not tell."""
    ttft, itl = _quantiles(growths, histogram(_TTFT)), _quantiles(growths, histogram(_ITL))
    return None if ttft is None and itl is None else Latencies(ttft=ttft, itl=itl)


def _quantiles(growths: Sequence[Growth], amounts: Amounts) -> Quantiles | None:
    """Return those of all frontends' counts, stretched; None unless each told its buckets.

    One that has counted nothing yet may have no series at all.
    """
    seconds = max((growth.seconds for growth in growths), default=0.0)
    parts = []
    for growth in growths:
        told = distribution(growth.page, amounts)
        if told is None and growth.page.total(amounts.count.name) is None:
            return None
        if told is not None and told.count > 0:
            parts.append(scaled(told, seconds / growth.seconds))
    return added(parts).quantiles


def _sum(growths: Sequence[Growth], seconds: float, name: str, **labels: str) -> float | None:
    totals = [(growth.page.total(name, **labels), growth.seconds) for growth in growths]
    known = [total * seconds / window for total, window in totals if total is not None]
    return sum(known) if known else None
