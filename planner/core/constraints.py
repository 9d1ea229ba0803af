"""What becomes of needs: held on the way down, bounded, and fitted into the GPU budget."""

from collections.abc import Mapping

from planner.core.budget import fitted, started
from planner.core.observation import Observation
from planner.core.peaks import Peaks, highest, with_sample
from planner.core.plan import Decision, Reason
from planner.core.policy import PolicyConfig
from planner.core.role import Role
from planner.core.situation import Situation
from planner.core.stabilize import remaining_seconds
from planner.core.state import PolicyState

Decisions = dict[Role, Decision]


def stabilized(
    config: PolicyConfig,
    state: PolicyState,
    decisions: Decisions,
    situations: Mapping[Role, Situation],
    *,
    at: float,
) -> tuple[PolicyState, Decisions]:
    """Return *decisions* shrinking only to what a whole window needed, and the state with it.

    Without a window's worth of history nothing shrinks: a restart is not an idle fleet.
    """
    known_seconds = at - (at if state.since is None else state.since)
    roles, calm = dict(state.roles), {}
    for role, decision in decisions.items():
        memory = state.role(role)
        needs = with_sample(
            memory.needs, at, float(decision.desired), window_seconds=config.hold_seconds
        )
        highs = situations[role].highs if role in situations else memory.highs
        roles[role] = memory.needing(highs=highs, needs=needs)
        calm[role] = _stabilized(config, needs, decision, at=at, known_seconds=known_seconds)
    return PolicyState(at=at, since=state.since, flows=state.flows, roles=roles), calm


def _stabilized(
    config: PolicyConfig, needs: Peaks, decision: Decision, *, at: float, known_seconds: float
) -> Decision:
    """Return *decision* as its *needs* of the window hold it, if that was seen at all."""
    current, desired = decision.current, decision.desired
    if desired >= current:
        return decision
    if known_seconds < config.history_seconds:
        missing = config.history_seconds - known_seconds
        return decision.moved(Reason.WARMING_UP, current, remaining_seconds=missing)
    held = min(current, int(highest(needs) or 0))
    if held == desired:
        return decision
    return decision.judged(
        Reason.SCALE_DOWN_STABILIZED,
        held,
        remaining_seconds=remaining_seconds(needs, at, desired, hold_seconds=config.hold_seconds),
    )


def within_bounds(config: PolicyConfig, decisions: Decisions) -> Decisions:
    """Return *decisions* inside each role's bounds."""
    return {role: _bounded(config, decision) for role, decision in decisions.items()}


def _bounded(config: PolicyConfig, decision: Decision) -> Decision:
    bounds = config.bounds[decision.role]
    if bounds.minimum <= decision.desired <= bounds.maximum:
        return decision
    most = min(decision.desired, bounds.maximum)
    decision = decision.moved(Reason.TOO_MANY_REPLICAS, most, maximum=bounds.maximum)
    least = max(decision.desired, bounds.minimum)
    return decision.moved(Reason.TOO_FEW_REPLICAS, least, minimum=bounds.minimum)


def within_budget(
    config: PolicyConfig, decisions: Decisions, observation: Observation
) -> Decisions:
    """Return *decisions* that fit into the GPU budget at every instant of the change.

    The floors are kept, except while the GPUs that they need are still draining.
    """
    if config.max_gpus is None:
        return decisions
    budget = float(config.max_gpus)
    width = {role: config.gpus_per_replica(role) for role in decisions}
    counts = fitted(
        {role: decision.desired for role, decision in decisions.items()},
        floors={role: config.bounds[role].minimum for role in decisions},
        gpus_per_replica=width,
        max_gpus=config.max_gpus,
    )
    fleet = {role: observation.replicas(role) for role in decisions}
    now = started(counts, fleet, gpus_per_replica=width, max_gpus=config.max_gpus)
    return {
        role: decision.moved(Reason.GPU_BUDGET, counts[role], max_gpus=budget).moved(
            Reason.SHRINK_BEFORE_GROW, now[role], max_gpus=budget
        )
        for role, decision in decisions.items()
    }
