"""What is remembered of the traffic: lengths, rates and how many requests were late."""

from collections.abc import Iterable

from planner.core.observation import Traffic
from planner.core.role import Role
from planner.core.sla import Sla
from planner.core.value import value
from planner.core.workload import Workload

# How far the outputs of unfinished requests may raise the mean length of the finished ones.
_MOST_UNFINISHED = 2.5
# No engine is faster; a shorter ITL is a measuring error that would make tokens without bound.
_LEAST_ITL_SECONDS = 1e-5


@value
class Flows:
    """Smoothed sums per second, so that their ratios are means weighted by requests."""

    seen_seconds: float = 0.0
    arrived: float = 0.0
    isl: float = 0.0
    isl_squared: float = 0.0
    finished: float = 0.0
    osl: float = 0.0
    context_osl: float = 0.0
    generated: float = 0.0
    """Tokens generated, of finished and unfinished requests."""

    def seen(self, traffic: Traffic, *, running: int | None, smoothing_seconds: float) -> "Flows":
        """Return these flows having seen *traffic*, with *running* requests decoding at its end."""
        total = self.seen_seconds + traffic.seconds
        gain = min(1.0, traffic.seconds / min(total, smoothing_seconds))

        def smoothed(before: float, count: float) -> float:
            return before + gain * (count / traffic.seconds - before)

        return Flows(
            seen_seconds=total,
            arrived=smoothed(self.arrived, traffic.arrived),
            isl=smoothed(self.isl, traffic.isl_sum),
            isl_squared=smoothed(self.isl_squared, traffic.isl_squared_sum),
            finished=smoothed(self.finished, traffic.finished),
            osl=smoothed(self.osl, traffic.osl_sum),
            context_osl=smoothed(self.context_osl, traffic.context_osl_sum),
            generated=smoothed(self.generated, _generated(traffic, running)),
        )

    def workload(self, rate_rps: float, *, prompts_only: bool = False) -> Workload | None:
        """Return a steady load of *rate_rps* with these lengths.

        None while requests have arrived but none has finished, so that outputs are unknown;
        *prompts_only* does not need them. Without any request the lengths are one token.
        """
        if self.arrived <= 0:
            return Workload(rate_rps=0.0, isl=1.0, osl=1.0)
        if self.finished <= 0 and not prompts_only:
            return None
        isl = max(1.0, self.isl / self.arrived)
        squared = self.isl_squared / self.arrived
        if self.finished <= 0:
            return Workload(rate_rps=rate_rps, isl=isl, isl_squared=squared, osl=1.0)
        longer = self._unfinished_factor()
        return Workload(
            rate_rps=rate_rps,
            isl=isl,
            isl_squared=squared,
            osl=max(1.0, self.osl / self.finished * longer),
            context_osl=self.context_osl / self.finished * longer if self.context_osl else None,
        )

    def _unfinished_factor(self) -> float:
        """Return how much longer outputs are than those that have finished.

        While the load grows the short ones finish first, so their mean is too low just when it
        matters. Tokens generated per request finished is unbiased then, as far as an output's end
        does not depend on its age; on a steady load both agree.
        """
        if self.osl <= 0:
            return 1.0
        return min(_MOST_UNFINISHED, max(1.0, self.generated / self.osl))


def _generated(traffic: Traffic, running: int | None) -> float:
    """Return the tokens generated in *traffic*'s interval: one per running request and ITL.

    Where that is unknown, those of the requests that finished in it.
    """
    mean_itl = traffic.itl_sum / traffic.itl_count if traffic.itl_count else 0.0
    if running is None or mean_itl < _LEAST_ITL_SECONDS:
        return traffic.osl_sum
    return running * traffic.seconds / mean_itl


def prompts(traffic: Traffic) -> Workload:
    """Return the arrivals of *traffic* as a load of prompts alone."""
    if not traffic.arrived:
        return Workload(rate_rps=0.0, isl=1.0, osl=1.0)
    return Workload(
        rate_rps=traffic.arrived / traffic.seconds,
        isl=max(1.0, traffic.isl_sum / traffic.arrived),
        isl_squared=traffic.isl_squared_sum / traffic.arrived,
        osl=1.0,
    )


def late_roles(traffic: Traffic, sla: Sla, roles: Iterable[Role]) -> frozenset[Role]:
    """Return the roles that the late requests of *traffic* are put down to.

    A request counts late for TTFT and ITL together, so the latency whose mean is nearer to its
    target is taken as the cause: prefill for TTFT, decode for ITL, aggregated for either.
    """
    ttft = _mean_over_target(traffic.ttft_sum, traffic.ttft_count, sla.ttft_seconds)
    itl = _mean_over_target(traffic.itl_sum, traffic.itl_count, sla.itl_seconds)
    cause = Role.PREFILL if ttft >= itl else Role.DECODE
    return frozenset(role for role in roles if role in (cause, Role.AGGREGATED))


def _mean_over_target(total: float, count: int, target: float | None) -> float:
    return total / count / target if count and target else 0.0


def late_share(traffic: Traffic) -> float | None:
    """Return the share of the finished requests outside the SLA; None when it is not known."""
    if not traffic.finished or traffic.within_sla is None:
        return None
    return 1 - min(1.0, traffic.within_sla / traffic.finished)
