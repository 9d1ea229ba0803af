"""Replicas for a steady load: the fewest GPUs whose predicted attainment reaches the SLA's."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from math import prod

from planner.core.demand import engine_share
from planner.core.feasibility import infeasible
from planner.core.fleets import Choice, attainments, cheapest_fleet
from planner.core.policy import AGGREGATED, DISAGGREGATED
from planner.core.profile import EngineProfile, Parallelism, Profile
from planner.core.role import Role
from planner.core.sla import Sla
from planner.core.workload import Workload
from planner.errors import ConfigError, SlaInfeasible


@dataclass(frozen=True, slots=True, kw_only=True)
class RoleSizing:
    """What one role needs. *capacity_rps* is what one replica holds before waiting counts."""

    replicas: int
    parallelism: Parallelism
    gpus: int
    capacity_rps: float
    attainment: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Sizing:
    """A fleet for a steady load; *cost_per_hour* is None without a GPU price in the profile."""

    roles: Mapping[Role, RoleSizing]
    gpus: int
    attainment: float
    cost_per_hour: float | None


def size(
    profile: Profile,
    sla: Sla,
    workload: Workload,
    *,
    roles: Iterable[Role] | None = None,
    parallelism: Mapping[Role, Parallelism] | None = None,
) -> Sizing:
    """Return the fleet with the fewest GPUs that holds *workload* within *sla*.

    *roles* is one topology, ``{aggregated}`` or ``{prefill, decode}``; None takes the cheaper.
    A role left out of *parallelism* gets the profile's best. Raises SlaInfeasible, naming the
    nearest target that is met, when no number of replicas would do.
    """
    fixed = parallelism or {}
    if roles is not None:
        return _sized(profile, sla, workload, roles=_topology(roles), fixed=fixed)
    sizings, refusals = [], []
    for topology in (DISAGGREGATED, AGGREGATED):
        try:
            sizings.append(_sized(profile, sla, workload, roles=topology, fixed=fixed))
        except SlaInfeasible as refusal:
            refusals.append(refusal)
    if not sizings:
        raise refusals[0]
    return min(sizings, key=lambda sizing: sizing.gpus)


def _topology(roles: Iterable[Role]) -> frozenset[Role]:
    topology = frozenset(roles)
    if topology not in (AGGREGATED, DISAGGREGATED):
        raise ConfigError(
            f"roles {', '.join(sorted(topology))}: a fleet is aggregated, or prefill with decode",
            hint="leave the roles out to take the cheaper",
        )
    return topology


def _sized(
    profile: Profile,
    sla: Sla,
    workload: Workload,
    *,
    roles: frozenset[Role],
    fixed: Mapping[Role, Parallelism],
) -> Sizing:
    entries = {role: _entries(profile, fixed.get(role)) for role in Role if role in roles}
    fleet = cheapest_fleet(entries, sla, workload)
    if fleet is None:
        engines = {role: [e.engine for e in options] for role, options in entries.items()}
        raise infeasible(engines, sla, workload)
    return _sizing(profile, sla, workload, fleet)


def _entries(profile: Profile, fixed: Parallelism | None) -> tuple[EngineProfile, ...]:
    return profile.engines if fixed is None else (profile.at(fixed),)


def _sizing(profile: Profile, sla: Sla, workload: Workload, fleet: tuple[Choice, ...]) -> Sizing:
    gpus = sum(choice.gpus for choice in fleet)
    price = profile.gpu_price_per_hour
    by_role = attainments(fleet, sla, workload)
    return Sizing(
        roles={
            choice.role: RoleSizing(
                replicas=choice.replicas,
                parallelism=choice.entry.parallelism,
                gpus=choice.gpus,
                capacity_rps=1 / engine_share(choice.role, choice.entry.engine, sla, workload),
                attainment=by_role[choice.role],
            )
            for choice in fleet
        },
        gpus=gpus,
        attainment=prod(by_role.values()),
        cost_per_hour=None if price is None else price * gpus,
    )
