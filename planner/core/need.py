"""The replicas that one role needs: at the end of the lead by forecast, and now by pressure.

Every function takes the decision so far and returns it with its own step, so that the order of the
steps is the order in which they are composed.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from math import ceil, inf

from planner.core.demand import engine_share, prefill_seconds, replicas_needed, ttft_slack
from planner.core.engine import EngineModel
from planner.core.feasibility import best_attainment
from planner.core.forecast import Prior, expected, headroom, promised
from planner.core.learn import remembered
from planner.core.observation import Observation, Replicas, RoleLoad
from planner.core.plan import Decision, Reason
from planner.core.policy import PolicyConfig
from planner.core.predict import role_attainment
from planner.core.pressure import (
    backlog_seconds,
    clearing_replicas,
    fullness,
    lateness_factor,
    roomy_replicas,
)
from planner.core.role import Role
from planner.core.stabilize import tolerant
from planner.core.state import PolicyState, RoleMemory
from planner.core.workload import Workload

# Prefill demand is spiky, so its average steadies the peak; a decode demand is smooth by itself.
_PRIORS = {
    Role.PREFILL: Prior(average_share=0.4, headroom=1.15),
    Role.DECODE: Prior(average_share=0.0, headroom=1.0),
    Role.AGGREGATED: Prior(average_share=0.2, headroom=1.1),
}
# Headroom may leave this multiple of the SLA's misses to the pressure steps.
_LATE_SHARES = 2.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Situation:
    """Everything that the decision about one role looks at."""

    config: PolicyConfig
    role: Role
    engine: EngineModel
    memory: RoleMemory
    workload: Workload
    """The smoothed arrivals and their lengths."""
    replicas: Replicas
    load: RoleLoad
    headroom: float
    """The factor on the forecast, from how past ones turned out."""

    @property
    def forecast(self) -> float:
        """Replicas expected to be busy at the end of the lead, before headroom."""
        return expected(self.memory.demand, _PRIORS[self.role], windows=self.config.windows)

    def attainment(self, replicas: int) -> float:
        """Return the attainment that *replicas* of the role reach at the expected rate."""
        rate_rps = max(self.workload.rate_rps, self.forecast * self.capacity_rps)
        return role_attainment(
            self.role,
            self.engine,
            self.config.sla,
            replace(self.workload, rate_rps=rate_rps),
            replicas=replicas,
        )

    @property
    def capacity_rps(self) -> float:
        """The rate that one replica holds within the SLA, waiting counted.

        At no load at all, the rate at which it is busy.
        """
        sla, workload = self.config.sla, self.workload
        replicas = replicas_needed(self.role, self.engine, sla, workload)
        if workload.rate_rps > 0 and 0 < replicas < inf:
            return workload.rate_rps / replicas
        return 1 / engine_share(self.role, self.engine, sla, workload)


Policy = Callable[[Decision, Situation], Decision]


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
    fewest = min(decision.desired, decision.current)
    replicas = next(n for n in range(fewest, decision.current + 1) if _would_do(n, situation))
    return decision.moved(Reason.CONSOLIDATION_REFUSED, max(decision.desired, replicas))


def _would_do(replicas: int, situation: Situation) -> bool:
    """Return whether *replicas* reach the target, or as much as the present ones do."""
    current = situation.replicas.current
    if replicas >= current:
        return True
    share = situation.attainment(replicas)
    target = situation.config.sla.attainment
    return share >= target or share >= situation.attainment(current) - (1 - target) / 2


STEPS: tuple[Policy, ...] = (
    by_forecast,
    by_lateness,
    by_backlog,
    by_kv_pressure,
    by_consolidation,
    by_feasibility,
)


def needs_by_sla(
    config: PolicyConfig,
    engines: Mapping[Role, EngineModel],
    state: PolicyState,
    observation: Observation,
) -> tuple[PolicyState, dict[Role, Decision]]:
    """Return the state that has seen *observation*, and what each role needs by itself."""
    headrooms = {role: _headroom(config, role, state.role(role)) for role in engines}
    if observation.traffic is not None:
        state = remembered(config, engines, state, at=observation.at, traffic=observation.traffic)
    decisions = {}
    for role, engine in engines.items():
        decision = Decision.unmoved(role, observation.replicas(role).current)
        workload = state.workload(role)
        if workload is None:
            decisions[role] = decision.judged(Reason.WARMING_UP, decision.current)
            continue
        situation = Situation(
            config=config,
            role=role,
            engine=engine,
            memory=state.role(role),
            workload=workload,
            replicas=observation.replicas(role),
            load=observation.load.get(role, RoleLoad()),
            headroom=headrooms[role],
        )
        decisions[role] = _needed(decision, situation)
        state = state.with_role(role, _promising(situation, at=observation.at))
    return state, decisions


def _headroom(config: PolicyConfig, role: Role, before: RoleMemory) -> float:
    """Return the headroom as known *before* the present interval is judged.

    An interval that turns out high then raises its own decision by its demand alone, never less
    than one that turns out lower.
    """
    return headroom(
        before.demand,
        _PRIORS[role],
        late_share=min(0.5, _LATE_SHARES * (1 - config.sla.attainment)),
        windows=config.windows,
    )


def _needed(decision: Decision, situation: Situation) -> Decision:
    for step in STEPS:
        decision = step(decision, situation)
    return replace(decision, raw=decision.desired)


def _promising(situation: Situation, *, at: float) -> RoleMemory:
    """Return the role's memory with this forecast in it, to be compared a lead later."""
    memory = situation.memory
    demand = promised(memory.demand, at, situation.forecast, windows=situation.config.windows)
    return replace(memory, demand=demand)
