"""Puts decisions together into a plan: GPUs, cost, and the attainment it should bring."""

from collections.abc import Mapping
from math import prod

from planner.core.plan import Alternative, Decision, Gpus, Plan
from planner.core.policy import PolicyConfig
from planner.core.profile import Profile
from planner.core.role import Role
from planner.core.situation import Situation


def plan_of(
    config: PolicyConfig,
    decisions: Mapping[Role, Decision],
    situations: Mapping[Role, Situation],
    *,
    at: float,
    profile: Profile | None,
) -> Plan:
    """Return the plan that *decisions* make up; cost and attainment as far as they are known."""
    price = None if profile is None else profile.gpu_price_per_hour
    decisions = {
        role: _compared(config, decision, situations.get(role), price=price)
        for role, decision in decisions.items()
    }
    current = {role: decision.current for role, decision in decisions.items()}
    desired = {role: decision.desired for role, decision in decisions.items()}
    width = {role: config.gpus_per_replica(role) for role in decisions}
    gpus = Gpus(
        current=sum(count * width[role] for role, count in current.items()),
        desired=sum(count * width[role] for role, count in desired.items()),
        budget=config.max_gpus,
    )
    return Plan(
        at=at,
        decisions=decisions,
        gpus=gpus,
        cost_per_hour=None if price is None else price * gpus.desired,
        current_cost_per_hour=None if price is None else price * gpus.current,
        attainment=_attainment(decisions, desired, situations),
        current_attainment=_attainment(decisions, current, situations),
    )


def _compared(
    config: PolicyConfig, decision: Decision, situation: Situation | None, *, price: float | None
) -> Decision:
    """Return *decision* with what one replica fewer and one more would give and cost."""
    if situation is None:
        return decision
    hourly = None if price is None else price * config.gpus_per_replica(decision.role)
    counts = range(max(0, decision.desired - 1), decision.desired + 2)
    alternatives = tuple(
        [
            Alternative(
                replicas=count,
                attainment=situation.attainment(count),
                cost_per_hour=None if hourly is None else hourly * count,
            )
            for count in counts
        ]
    )
    return decision.compared(alternatives)


def _attainment(
    decisions: Mapping[Role, Decision],
    replicas: Mapping[Role, int],
    situations: Mapping[Role, Situation],
) -> float | None:
    """Return the share of requests for which every role does its part; None when one is unknown."""
    if not situations or len(situations) < len(replicas):
        return None
    shares = [_share(decisions[role], situations[role], count) for role, count in replicas.items()]
    return prod(shares)


def _share(decision: Decision, situation: Situation, replicas: int) -> float:
    """Return the attainment with *replicas*, which mostly is one of the alternatives."""
    for alternative in decision.alternatives:
        if alternative.replicas == replicas:
            return alternative.attainment
    return situation.attainment(replicas)
