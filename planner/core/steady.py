"""Replicas for a load that goes on as it is, by the queue model."""

from dataclasses import replace

from planner.core.demand import engine_share
from planner.core.predict import best_attainment, role_attainment
from planner.core.search import first_that
from planner.core.shown import Target

_MOST_REPLICAS = 1024
_BISECTIONS = 5
# Part of the SLA's misses that is left to waiting, whatever the engines' own times take of them.
_LEAST_WAITING = 0.1


def steady_replicas(target: Target, *, rate_rps: float, guess: int) -> float:
    """Return the replicas that hold *rate_rps* within the SLA, as a real number.

    Where the SLA is out of reach for some prompts, for nearly all of the others. *guess* is where
    the search begins.
    """
    if rate_rps <= 0:
        return 0.0
    aim = aimed_attainment(target)

    def holds(replicas: int, rate: float) -> bool:
        workload = replace(target.workload, rate_rps=rate)
        share = role_attainment(target.role, target.engine, target.sla, workload, replicas=replicas)
        return share >= aim

    needed = first_that(lambda n: holds(n, rate_rps), guess=guess, most=_MOST_REPLICAS)
    # What they would hold at most tells how much of the last one is needed.
    busy = needed / engine_share(target.role, target.engine, target.sla, target.workload)
    low, high = rate_rps, max(rate_rps, busy)
    for _ in range(_BISECTIONS):
        middle = (low + high) / 2
        low, high = (middle, high) if holds(needed, middle) else (low, middle)
    return max(needed * rate_rps / low, needed - 1 + 1e-6)


def aimed_attainment(target: Target) -> float:
    """Return the attainment to size for: the SLA's, or nearly what can be reached of it.

    Reaching all of it would leave no prompt that may wait, at whatever number of replicas.
    """
    asked = target.sla.attainment
    return min(asked, reachable(target) - _LEAST_WAITING * (1 - asked))


def reachable(target: Target) -> float:
    """Return the attainment that replicas without end would bring."""
    return best_attainment(target.role, target.engine, target.sla, target.workload)
