"""What every role needs to hold the SLA, from its own memory and the present observation."""

from collections.abc import Mapping

from planner.core.engine import EngineModel
from planner.core.headroom import Errors
from planner.core.learn import Seen, remembered
from planner.core.need_steps import STEPS
from planner.core.observation import Observation, Traffic
from planner.core.plan import Decision, Reason
from planner.core.policy import PolicyConfig
from planner.core.role import Role
from planner.core.situation import Situation
from planner.core.state import PolicyState


def needs_by_sla(
    config: PolicyConfig,
    engines: Mapping[Role, EngineModel],
    state: PolicyState,
    *,
    observation: Observation,
    traffic: Traffic,
) -> tuple[PolicyState, dict[Role, Decision], dict[Role, Situation]]:
    """Return the state that has seen *observation*, what each role needs by itself, and why.

    *traffic* is the observation's. A role whose lengths are still unknown has no situation.
    """
    seen = Seen.of(config, state.flows, observation=observation, traffic=traffic)
    roles, decisions, situations = {}, {}, {}
    for role, engine in engines.items():
        before = state.role(role)
        roles[role], target = remembered(role, engine, before, seen)
        decision = Decision.unmoved(role, observation.replicas(role).current)
        if target is None:
            decisions[role] = decision.judged(Reason.WARMING_UP, decision.current)
            continue
        # As known before the present interval is judged: one that turns out high then raises its
        # own decision by its demand alone, never less than one that turns out lower.
        errors = Errors.of(role, before.demand, windows=config.windows)
        situations[role] = situation = Situation.of(
            config, target, roles[role], errors=errors, observation=observation
        )
        decisions[role] = _needed(decision, situation)
    state = PolicyState(at=state.at, since=state.since, flows=seen.flows, roles=roles)
    return state, decisions, situations


def _needed(decision: Decision, situation: Situation) -> Decision:
    """Return what one role needs; replicas cannot speed up an engine that alone is too slow."""
    if situation.reachable < situation.config.sla.attainment:
        decision = decision.judged(
            Reason.SLA_INFEASIBLE,
            decision.current,
            reachable=situation.reachable,
            isl=situation.target.workload.isl,
        )
        if situation.is_hopeless:
            return decision
    for step in STEPS:
        decision = step(decision, situation)
    return decision.asked()
