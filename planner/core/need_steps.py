"""The steps by which one role's need is found: by forecast first, then by the present pressure.

Every step takes the decision so far and returns it with its own reason, so the order of the reasons
is the order in which the steps are composed.
"""

from collections.abc import Callable
from math import ceil

from planner.core.demand import prefill_seconds, ttft_slack
from planner.core.plan import Decision, Reason
from planner.core.pressure import backlog_seconds, clearing_replicas, fullness, roomy_replicas
from planner.core.role import Role
from planner.core.situation import Situation

NeedStep = Callable[[Decision, Situation], Decision]


def by_forecast(decision: Decision, situation: Situation) -> Decision:
    """Go straight to the replicas that hold the forecast demand with its headroom."""
    needed = ceil(situation.need)
    inputs = {
        "rate_rps": situation.target.workload.rate_rps,
        "forecast_replicas": situation.forecast,
        "headroom": situation.headroom,
        "horizon_seconds": situation.config.lead_seconds,
        "replicas_needed": float(needed),
    }
    if needed > decision.current == ceil(situation.need / _within(situation)):
        return decision.judged(Reason.WITHIN_TOLERANCE, decision.current, **inputs)
    return decision.judged(Reason.DEMAND_FORECAST, needed, **inputs)


def _within(situation: Situation) -> float:
    return 1 + situation.config.tolerance


def by_consolidation(decision: Decision, situation: Situation) -> Decision:
    """Remove only what the rest would do without, also if the need were as high again as lately."""
    if decision.desired >= decision.current:
        return decision
    lasting = situation.lasting_need * _within(situation)
    return decision.moved(
        Reason.CONSOLIDATION_REFUSED,
        max(decision.desired, min(decision.current, ceil(lasting))),
        need_replicas=situation.need,
        lasting_need_replicas=lasting,
    )


def by_lateness(decision: Decision, situation: Situation) -> Decision:
    """Add to the headroom while more requests are late than the SLA allows."""
    factor = situation.lateness
    if factor <= 1:
        return decision
    replicas = ceil(situation.need * factor / _within(situation))
    return decision.moved(
        Reason.ATTAINMENT_BELOW_TARGET,
        max(decision.desired, replicas),
        late_share=situation.memory.late_share or 0.0,
        headroom_factor=factor,
    )


def by_backlog(decision: Decision, situation: Situation) -> Decision:
    """Add what clears the requests that already wait too long."""
    target = situation.target
    seconds = backlog_seconds(target.role, target.engine, target.workload, situation.load)
    replicas = clearing_replicas(
        seconds,
        busy=target.workload.rate_rps * prefill_seconds(target.engine, target.workload),
        slack_seconds=ttft_slack(target.role, target.engine, target.sla, target.workload),
        lead_seconds=situation.config.lead_seconds,
        replicas=situation.replicas,
    )
    return decision.moved(Reason.BACKLOG, max(decision.desired, replicas), backlog_seconds=seconds)


def by_kv_pressure(decision: Decision, situation: Situation) -> Decision:
    """Add what makes room where batches are past the ITL target or KV caches about to fill up."""
    target = situation.target
    if target.role is Role.PREFILL:
        return decision
    full = fullness(
        target.role,
        target.engine,
        target.sla,
        target.workload,
        load=situation.load,
        ready=situation.replicas.ready,
    )
    replicas = roomy_replicas(full, situation.replicas)
    return decision.moved(Reason.KV_PRESSURE, max(decision.desired, replicas), fullness=full)


STEPS: tuple[NeedStep, ...] = (
    by_forecast,
    by_consolidation,
    by_lateness,
    by_backlog,
    by_kv_pressure,
)
