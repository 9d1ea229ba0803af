"""Traffic over longer intervals than one observation, and the mean lengths in it."""

from planner.core.observation import Traffic
from planner.core.workload import Workload

NOTHING = Traffic(seconds=0.0, arrived=0, isl_sum=0.0, isl_squared_sum=0.0, finished=0, osl_sum=0.0)


def added(total: Traffic, traffic: Traffic) -> Traffic:
    """Return what was counted in two intervals together; arrivals in bins are left out."""
    return Traffic(
        seconds=total.seconds + traffic.seconds,
        arrived=total.arrived + traffic.arrived,
        isl_sum=total.isl_sum + traffic.isl_sum,
        isl_squared_sum=total.isl_squared_sum + traffic.isl_squared_sum,
        finished=total.finished + traffic.finished,
        osl_sum=total.osl_sum + traffic.osl_sum,
        context_osl_sum=total.context_osl_sum + traffic.context_osl_sum,
        failed=total.failed + traffic.failed,
        within_sla=_sum(total.within_sla, traffic.within_sla),
        ttft_sum=total.ttft_sum + traffic.ttft_sum,
        ttft_count=total.ttft_count + traffic.ttft_count,
        itl_sum=total.itl_sum + traffic.itl_sum,
        itl_count=total.itl_count + traffic.itl_count,
    )


def _sum(total: int | None, more: int | None) -> int | None:
    return None if total is None or more is None else total + more


def lengths(traffic: Traffic) -> Workload:
    """Return the rate and the mean lengths of *traffic*; what has not been seen is one token."""
    arrived, finished = max(1, traffic.arrived), max(1, traffic.finished)
    return Workload(
        rate_rps=traffic.arrived / traffic.seconds if traffic.seconds else 0.0,
        isl=max(1.0, traffic.isl_sum / arrived),
        osl=max(1.0, traffic.osl_sum / finished),
        isl_squared=traffic.isl_squared_sum / arrived,
    )
