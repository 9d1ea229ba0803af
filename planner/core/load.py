"""Decisions without a profile: queues and KV usage against thresholds."""

from dataclasses import replace
from math import ceil

from planner.core.observation import Observation, Replicas, RoleLoad
from planner.core.plan import Decision, Reason
from planner.core.policy import LoadTargets, PolicyConfig
from planner.core.role import Role

# One replica fewer is tried when the others would stay this far below their thresholds.
_ROOMY = 0.6
_MOST_GROWTH = 2
_TOLERANCE = 0.1


def needs_by_load(config: PolicyConfig, observation: Observation) -> dict[Role, Decision]:
    """Return what every role's load asks for; unknown load holds the current count."""
    return {
        role: _needed(
            Decision.unmoved(role, observation.replicas(role).current),
            config.load,
            load=observation.load.get(role),
            replicas=observation.replicas(role),
        )
        for role in config.roles
    }


def _needed(
    decision: Decision, targets: LoadTargets, *, load: RoleLoad | None, replicas: Replicas
) -> Decision:
    ratio = None if load is None else _ratio(targets, load, replicas)
    if ratio is None:
        return decision.judged(Reason.METRICS_UNAVAILABLE, decision.current)
    needed = _replicas(ratio, replicas)
    decision = decision.judged(Reason.LOAD_THRESHOLD, needed, load_over_threshold=ratio)
    return replace(decision, raw=needed)


def _ratio(targets: LoadTargets, load: RoleLoad, replicas: Replicas) -> float | None:
    """Return the load of a ready replica over its threshold, the larger of queue and KV."""
    ratios = []
    if load.kv_usage is not None:
        ratios.append(load.kv_usage / targets.kv_usage)
    if load.waiting is not None:
        ratios.append(load.waiting / (targets.waiting * max(1, replicas.ready)))
    return max(ratios, default=None)


def _replicas(ratio: float, replicas: Replicas) -> int:
    """Return the replicas for a load of *ratio* thresholds on each ready one.

    Up goes straight to the proportional count, at most doubling; down goes one by one, for an empty
    queue does not say how much is spare.
    """
    current, ready = replicas.current, replicas.ready
    if ratio > 1 + _TOLERANCE:
        wanted = ceil(max(1, ready) * ratio)
        return max(current, min(wanted, _MOST_GROWTH * max(1, current)))
    if current > 1 and ready * ratio / (current - 1) < _ROOMY:
        return current - 1
    return current
