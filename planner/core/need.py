"""What every role needs to hold the SLA, from its own memory and the present observation."""

from collections.abc import Mapping
from dataclasses import replace

from planner.core.engine import EngineModel
from planner.core.headroom import headroom, promised
from planner.core.learn import remembered
from planner.core.need_steps import STEPS
from planner.core.observation import Observation, RoleLoad
from planner.core.plan import Decision, Reason
from planner.core.policy import PolicyConfig
from planner.core.role import Role
from planner.core.situation import Situation
from planner.core.state import PolicyState, RoleMemory

# Headroom may leave this multiple of the SLA's misses to the pressure steps.
_LATE_SHARES = 3.0


def needs_by_sla(
    config: PolicyConfig,
    engines: Mapping[Role, EngineModel],
    state: PolicyState,
    observation: Observation,
) -> tuple[PolicyState, dict[Role, Decision]]:
    """Return the state that has seen *observation*, and what each role needs by itself."""
    headrooms = {role: _headroom(config, state.role(role)) for role in engines}
    if observation.traffic is not None:
        state = remembered(
            config, engines, state, observation=observation, traffic=observation.traffic
        )
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


def _headroom(config: PolicyConfig, before: RoleMemory) -> float:
    """Return the headroom as known *before* the present interval is judged.

    An interval that turns out high then raises its own decision by its demand alone, never less
    than one that turns out lower.
    """
    return headroom(
        before.demand,
        late_share=min(0.5, _LATE_SHARES * (1 - config.sla.attainment)),
        windows=config.windows,
    )


def _needed(decision: Decision, situation: Situation) -> Decision:
    """Return what one role needs; replicas cannot speed up an engine that alone is too slow."""
    if situation.aim < situation.config.sla.attainment:
        decision = decision.judged(
            Reason.SLA_INFEASIBLE,
            decision.current,
            reachable=situation.reachable,
            isl=situation.workload.isl,
        )
        if situation.is_hopeless:
            return decision
    for step in STEPS:
        decision = step(decision, situation)
    return replace(decision, raw=decision.desired)


def _promising(situation: Situation, *, at: float) -> RoleMemory:
    """Return the role's memory with this forecast in it, to be compared a lead later."""
    memory = situation.memory
    demand = promised(memory.demand, at, situation.forecast, windows=situation.config.windows)
    return replace(memory, demand=demand)
