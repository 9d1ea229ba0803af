"""The steps by which one role's need is found: by forecast first, then by the present pressure.

Every step takes the decision so far and returns it with its own reason, so the order of the reasons
is the order in which the steps are composed.
"""

from bisect import bisect_left
from collections.abc import Callable
from math import ceil

from planner.core.demand import prefill_seconds, ttft_slack
from planner.core.plan import Decision, Reason
from planner.core.predict import best_attainment
from planner.core.pressure import (
    backlog_seconds,
    clearing_replicas,
    fullness,
    lateness_factor,
    roomy_replicas,
)
from planner.core.role import Role
from planner.core.situation import Situation
from planner.core.stabilize import tolerant
from planner.core.workload import Workload

NeedStep = Callable[[Decision, Situation], Decision]


def by_forecast(decision: Decision, situation: Situation) -> Decision:
    """Go straight to the replicas that hold the forecast demand with its headroom."""
    need = situation.forecast * situation.headroom
    current = decision.current
    desired = tolerant(current, need, tolerance=situation.config.tolerance)
    capacity_rps = situation.capacity_rps
    inputs = {
        "demand_rps": need * capacity_rps,
        "capacity_rps": capacity_rps,
        "horizon_seconds": situation.config.lead_seconds,
        "replicas_needed": need,
        "headroom": situation.headroom,
    }
    reason = Reason.DEMAND_FORECAST if desired == ceil(need) else Reason.WITHIN_TOLERANCE
    return decision.judged(reason, desired, **inputs)


def by_lateness(decision: Decision, situation: Situation) -> Decision:
    """Add to the headroom while more requests are late than the SLA allows."""
    late_share = situation.memory.late_share
    factor = lateness_factor(late_share, attainment=situation.config.sla.attainment)
    need = situation.forecast * situation.headroom * factor
    replicas = tolerant(decision.current, need, tolerance=situation.config.tolerance)
    return decision.moved(
        Reason.ATTAINMENT_BELOW_TARGET,
        max(decision.desired, replicas),
        late_share=late_share or 0.0,
        headroom_factor=factor,
    )


def by_backlog(decision: Decision, situation: Situation) -> Decision:
    """Add what clears the requests that already wait too long."""
    role, engine, workload = situation.role, situation.engine, situation.workload
    seconds = backlog_seconds(role, engine, workload, situation.load)
    replicas = clearing_replicas(
        seconds,
        busy=workload.rate_rps * prefill_seconds(engine, workload),
        slack_seconds=ttft_slack(role, engine, situation.config.sla, workload),
        lead_seconds=situation.config.lead_seconds,
        replicas=situation.replicas,
    )
    return decision.moved(Reason.BACKLOG, max(decision.desired, replicas), backlog_seconds=seconds)


def by_kv_pressure(decision: Decision, situation: Situation) -> Decision:
    """Add what makes room where batches are past the ITL target or KV caches about to fill up."""
    if situation.role is Role.PREFILL:
        return decision
    full = fullness(
        situation.role,
        situation.engine,
        situation.config.sla,
        situation.workload,
        load=situation.load,
        ready=situation.replicas.ready,
    )
    replicas = roomy_replicas(full, situation.replicas)
    return decision.moved(Reason.KV_PRESSURE, max(decision.desired, replicas), fullness=full)


def by_feasibility(decision: Decision, situation: Situation) -> Decision:
    """Hold when an engine alone is too slow for the mean request: replicas cannot speed it up."""
    workload = situation.workload
    mean_only = Workload(rate_rps=workload.rate_rps, isl=workload.isl, osl=workload.osl)
    sla = situation.config.sla
    if best_attainment(situation.role, situation.engine, sla, mean_only) > 0:
        return decision
    return decision.judged(Reason.SLA_INFEASIBLE, decision.current, isl=workload.isl)


def by_consolidation(decision: Decision, situation: Situation) -> Decision:
    """Keep replicas without which the model predicts too low an attainment at the expected rate."""
    fewer = range(decision.desired, decision.current)
    kept = bisect_left(fewer, True, key=lambda replicas: _would_do(replicas, situation))
    return decision.moved(Reason.CONSOLIDATION_REFUSED, decision.desired + kept)


def _would_do(replicas: int, situation: Situation) -> bool:
    """Return whether *replicas* reach the target, or nearly as much as the present ones do."""
    target = situation.config.sla.attainment
    reachable = situation.attainment(situation.replicas.current) - (1 - target) / 2
    return situation.attainment(replicas) >= min(target, reachable)


STEPS: tuple[NeedStep, ...] = (
    by_forecast,
    by_lateness,
    by_backlog,
    by_kv_pressure,
    by_consolidation,
    by_feasibility,
)
