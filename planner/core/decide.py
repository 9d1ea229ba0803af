"""The one place where replica counts come from.

`decide` is pure: what it knows beside the observation is in the state, which it returns anew. The
loop, `planner plan`, the simulator and the dashboard's what-if all call it.
"""

from collections.abc import Mapping

from planner.core.constraints import Decisions, stabilized, within_bounds, within_budget
from planner.core.engine import EngineModel
from planner.core.learn import resumed
from planner.core.load import needs_by_load
from planner.core.need import needs_by_sla
from planner.core.observation import Observation
from planner.core.outcome import plan_of
from planner.core.plan import Decision, Plan, Reason
from planner.core.policy import Bounds, LoadTargets, Mode, PolicyConfig
from planner.core.profile import Profile
from planner.core.role import Role
from planner.core.situation import Situation
from planner.core.state import PolicyState

__all__ = ["Bounds", "LoadTargets", "Mode", "PolicyConfig", "PolicyState", "decide"]


def decide(
    config: PolicyConfig, profile: Profile | None, state: PolicyState, observation: Observation
) -> tuple[PolicyState, Plan]:
    """Return the new state and the replicas that each role should have, with the reasons.

    Unknown or stale metrics hold the fleet and leave the state alone. *profile* may be None in
    `Mode.LOAD` only; raises ConfigError otherwise, and ProfileError when it lacks a parallelism.
    """
    engines = config.engines(profile)
    situations: Mapping[Role, Situation] = {}
    if _is_known(config, observation):
        state = resumed(config, state, observation.at)
        state, decisions, situations = _needs(config, engines, state, observation)
        state, decisions = stabilized(config, state, decisions, situations, at=observation.at)
    else:
        decisions = _held(config, observation)
    decisions = within_bounds(config, decisions)
    decisions = within_budget(config, decisions, observation)
    return state, plan_of(config, decisions, situations, at=observation.at, profile=profile)


def _is_known(config: PolicyConfig, observation: Observation) -> bool:
    """Return whether *observation* says enough, and recently enough, to decide on."""
    if observation.age_seconds > config.oldest_seconds:
        return False
    if config.mode is Mode.LOAD:
        return bool(observation.load)
    return observation.traffic is not None and observation.traffic.seconds > 0


def _needs(
    config: PolicyConfig,
    engines: Mapping[Role, EngineModel],
    state: PolicyState,
    observation: Observation,
) -> tuple[PolicyState, Decisions, Mapping[Role, Situation]]:
    traffic = observation.traffic
    if config.mode is Mode.LOAD or traffic is None:  # only that mode is known without traffic
        return state, needs_by_load(config, observation), {}
    return needs_by_sla(config, engines, state, observation=observation, traffic=traffic)


def _held(config: PolicyConfig, observation: Observation) -> Decisions:
    return {
        role: Decision.unmoved(role, observation.replicas(role).current).judged(
            Reason.METRICS_UNAVAILABLE,
            observation.replicas(role).current,
            age_seconds=observation.age_seconds,
        )
        for role in config.roles
    }
