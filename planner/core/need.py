"""What every role needs to hold the SLA, from its own memory and the present observation."""

from collections.abc import Mapping
from dataclasses import replace

from planner.core.engine import EngineModel
from planner.core.headroom import Errors
from planner.core.learn import remembered, target_of
from planner.core.need_steps import STEPS
from planner.core.observation import Observation, RoleLoad
from planner.core.plan import Decision, Reason
from planner.core.policy import PolicyConfig
from planner.core.role import Role
from planner.core.situation import Situation
from planner.core.state import PolicyState


def needs_by_sla(
    config: PolicyConfig,
    engines: Mapping[Role, EngineModel],
    state: PolicyState,
    observation: Observation,
) -> tuple[PolicyState, dict[Role, Decision], dict[Role, Situation]]:
    """Return the state that has seen *observation*, what each role needs by itself, and why.

    A role whose lengths are still unknown has no situation.
    """
    # As known before the present interval is judged: one that turns out high then raises its own
    # decision by its demand alone, never less than one that turns out lower.
    errors = {
        role: Errors.of(role, state.role(role).demand, windows=config.windows) for role in engines
    }
    if observation.traffic is not None:
        state = remembered(
            config, engines, state, observation=observation, traffic=observation.traffic
        )
    decisions, situations = {}, {}
    for role, engine in engines.items():
        decision = Decision.unmoved(role, observation.replicas(role).current)
        target = target_of(config, role, engine, state.role(role).slowness, state.flows)
        if target is None:
            decisions[role] = decision.judged(Reason.WARMING_UP, decision.current)
            continue
        situations[role] = situation = Situation(
            at=observation.at,
            config=config,
            target=target,
            memory=state.role(role),
            replicas=observation.replicas(role),
            load=observation.load.get(role, RoleLoad()),
            errors=errors[role],
        )
        decisions[role] = _needed(decision, situation)
        state = state.with_role(role, replace(state.role(role), highs=situation.highs))
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
    return replace(decision, raw=decision.desired)
