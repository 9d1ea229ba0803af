"""The steps by which one role's need is found: by forecast first, then by the present pressure.

Every step takes the decision so far and returns it with its own reason, so the order of the reasons
is the order in which the steps are composed.
"""

from collections.abc import Callable
from math import ceil

from planner.core.demand import prefill_seconds
from planner.core.headroom import BURST_HEADROOM
from planner.core.plan import Decision, Reason
from planner.core.pressure import backlog_seconds, clearing_replicas, fullness, roomy_replicas
from planner.core.role import Role
from planner.core.situation import Situation

NeedStep = Callable[[Decision, Situation], Decision]

# What a load needs that forecasts can follow; replicas beyond it wait for bursts.
_USUAL_HEADROOM = 1.4


def by_forecast(decision: Decision, situation: Situation) -> Decision:
    """Go straight to the replicas that hold the forecast demand with its headroom."""
    setting = situation.config.headroom
    headroom = min(situation.headroom, BURST_HEADROOM)
    need = setting * (situation.forecast * headroom)
    needed = ceil(need)
    inputs = {
        "rate_rps": situation.target.workload.rate_rps,
        "forecast_replicas": situation.forecast,
        "headroom": headroom,
        "headroom_setting": setting,
        "horizon_seconds": situation.config.lead_seconds,
        "replicas_needed": float(needed),
    }
    if _is_tolerable(need, decision, situation):
        return decision.judged(Reason.WITHIN_TOLERANCE, decision.current, **inputs)
    return decision.judged(Reason.DEMAND_FORECAST, needed, **inputs)


def by_bursts(decision: Decision, situation: Situation) -> Decision:
    """Hold what the last bursts needed, where they outrun every forecast.

    Where twice the forecast is more than that, nothing is held for bursts.
    """
    burst, forecast = situation.burst, situation.forecast
    if burst is None:
        return decision
    tolerable = _is_tolerable(situation.need, decision, situation)
    needed = decision.current if tolerable else ceil(situation.need)
    usual = ceil(situation.config.headroom * forecast * _USUAL_HEADROOM)
    spares = needed - usual if burst > forecast * BURST_HEADROOM else 0
    return decision.judged(
        Reason.BURSTS,
        needed,
        headroom=situation.headroom,
        burst_replicas=burst,
        warm_spares=float(max(0, spares)),
    )


def _is_tolerable(need: float, decision: Decision, situation: Situation) -> bool:
    """Return whether the present replicas fall short of *need* by next to nothing."""
    return ceil(need) > decision.current >= ceil(need / _within(situation))


def _within(situation: Situation) -> float:
    return 1 + situation.config.tolerance


def by_consolidation(decision: Decision, situation: Situation) -> Decision:
    """Remove only what the rest would do without, also if the need were as high again as lately."""
    if decision.desired >= decision.current:
        return decision
    lasting = situation.lasting_need
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
        late_share=situation.late_share or 0.0,
        headroom_factor=factor,
    )


def by_backlog(decision: Decision, situation: Situation) -> Decision:
    """Add what clears the requests that already wait too long."""
    target = situation.target
    seconds = backlog_seconds(target.role, target.engine, target.workload, situation.load)
    if not seconds:
        return decision
    replicas = clearing_replicas(
        seconds,
        busy=target.workload.rate_rps * prefill_seconds(target.engine, target.workload),
        slack_seconds=target.slack_seconds,
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
    by_bursts,
    by_consolidation,
    by_lateness,
    by_backlog,
    by_kv_pressure,
)
