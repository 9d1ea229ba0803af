"""The GPU budget: a cap that holds at every instant, also while replicas are exchanged."""

from collections.abc import Mapping
from math import floor

from planner.core.observation import Replicas
from planner.core.role import Role


def fitted(
    wanted: Mapping[Role, int],
    *,
    floors: Mapping[Role, int],
    gpus_per_replica: Mapping[Role, int],
    max_gpus: int,
) -> dict[Role, int]:
    """Return at most *wanted* replicas whose GPUs fit into *max_gpus*.

    Each role keeps its floor; what is left is shared in proportion to what each wants beyond it,
    whole replicas first and the remainders to the largest fractions.
    """
    if _gpus(wanted, gpus_per_replica) <= max_gpus:
        return dict(wanted)
    base = {role: min(floors[role], count) for role, count in wanted.items()}
    spare = max_gpus - _gpus(base, gpus_per_replica)
    beyond = {role: wanted[role] - base[role] for role in wanted}
    share = spare / _gpus(beyond, gpus_per_replica) if spare > 0 else 0.0
    fractions = {role: beyond[role] * share for role in wanted}
    counts = {role: base[role] + floor(fractions[role]) for role in wanted}
    by_remainder = sorted(wanted, key=lambda role: floor(fractions[role]) - fractions[role])
    for role in by_remainder:
        left = max_gpus - _gpus(counts, gpus_per_replica)
        if counts[role] < wanted[role] and gpus_per_replica[role] <= left:
            counts[role] += 1
    return counts


def started(
    desired: Mapping[Role, int],
    fleet: Mapping[Role, Replicas],
    *,
    gpus_per_replica: Mapping[Role, int],
    max_gpus: int,
) -> dict[Role, int]:
    """Return *desired*, growing only onto GPUs that nothing holds any more.

    A replica told to stop keeps its GPUs until it has drained, so a role that grows at another's
    expense waits for it: shrink before grow.
    """
    counts = {role: min(count, fleet[role].current) for role, count in desired.items()}
    provisioned = {role: fleet[role].provisioned for role in desired}
    free = max_gpus - _gpus(provisioned, gpus_per_replica)
    growth = {role: desired[role] - counts[role] for role in desired}
    grown = fitted(
        growth,
        floors=dict.fromkeys(growth, 0),
        gpus_per_replica=gpus_per_replica,
        max_gpus=max(0, free),
    )
    return {role: counts[role] + grown[role] for role in desired}


def _gpus(counts: Mapping[Role, int], gpus_per_replica: Mapping[Role, int]) -> int:
    return sum(count * gpus_per_replica[role] for role, count in counts.items())
