"""Puts decisions together into a plan: GPUs, cost, and the attainment it should bring."""

from collections.abc import Mapping

from planner.core.engine import EngineModel
from planner.core.plan import Decision, Gpus, Plan
from planner.core.policy import PolicyConfig
from planner.core.predict import attainment
from planner.core.profile import Profile
from planner.core.role import Role
from planner.core.state import PolicyState


def plan_of(
    config: PolicyConfig,
    state: PolicyState,
    decisions: Mapping[Role, Decision],
    *,
    at: float,
    profile: Profile | None,
) -> Plan:
    """Return the plan that *decisions* make up; cost and attainment as far as *profile* tells."""
    current = {role: decision.current for role, decision in decisions.items()}
    desired = {role: decision.desired for role, decision in decisions.items()}
    price = None if profile is None else profile.gpu_price_per_hour
    gpus = Gpus(
        current=_gpus(config, current), desired=_gpus(config, desired), budget=config.max_gpus
    )
    engines = config.engines(profile)
    return Plan(
        at=at,
        decisions=decisions,
        gpus=gpus,
        cost_per_hour=None if price is None else price * gpus.desired,
        current_cost_per_hour=None if price is None else price * gpus.current,
        attainment=_attainment(config, engines, state, desired),
        current_attainment=_attainment(config, engines, state, current),
    )


def _gpus(config: PolicyConfig, replicas: Mapping[Role, int]) -> int:
    return sum(count * config.gpus_per_replica(role) for role, count in replicas.items())


def _attainment(
    config: PolicyConfig,
    engines: Mapping[Role, EngineModel],
    state: PolicyState,
    replicas: Mapping[Role, int],
) -> float | None:
    workload = state.workload(config.roles[-1])
    if not engines or workload is None:
        return None
    return attainment(engines, config.sla, workload, replicas=replicas)
