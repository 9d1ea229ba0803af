"""Replicas for a steady load: the fewest GPUs whose predicted attainment reaches the SLA's."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from math import exp, log, prod, sqrt
from statistics import NormalDist

from planner.core.coverage import beyond_points
from planner.core.demand import engine_share
from planner.core.feasibility import infeasible
from planner.core.fleets import Choice, attainments, cheapest_fleet, fleet_attainment
from planner.core.policy import AGGREGATED, DISAGGREGATED
from planner.core.profile import EngineProfile, Parallelism, Profile
from planner.core.role import Role
from planner.core.sla import Sla
from planner.core.workload import Workload
from planner.errors import ConfigError, SlaInfeasible

_Z99 = NormalDist().inv_cdf(0.99)


@dataclass(frozen=True, slots=True, kw_only=True)
class RoleSizing:
    """What one role needs. *capacity_rps* is what one replica holds before waiting counts.

    *attainment* is this role's part; *one_fewer* and *one_more* are what the whole fleet would
    attain with a replica of this role fewer (None where there is only one) or more.
    """

    replicas: int
    parallelism: Parallelism
    gpus: int
    capacity_rps: float
    attainment: float
    one_fewer: float | None = None
    one_more: float | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Sizing:
    """A fleet for a steady load; *cost_per_hour* is None without a GPU price in the profile.

    *notes* say where the load is outside what the profile was measured at. *alternative* is the
    cheapest fleet of the other topology, None where one was asked for or the other cannot do it.
    """

    roles: Mapping[Role, RoleSizing]
    gpus: int
    attainment: float
    cost_per_hour: float | None
    notes: tuple[str, ...] = ()
    alternative: "Sizing | None" = None


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
    best, *others = sorted(sizings, key=lambda sizing: (sizing.gpus, -sizing.attainment))
    return replace(best, alternative=others[0] if others else None)


def with_long_prompts(workload: Workload, isl_p99: float) -> Workload:
    """Return *workload* with prompts of its mean length of which 99 % are below *isl_p99* tokens.

    They are lognormal; raises ConfigError where none of that mean are.
    """
    ratio = isl_p99 / workload.isl
    most = exp(_Z99**2 / 2)
    if not 1 <= ratio <= most:
        raise ConfigError(
            f"isl p99 {isl_p99:g}: must be 1 to {most:.0f} times the mean of {workload.isl:g}",
            hint=f"--isl-p99 {3 * workload.isl:.0f}",
        )
    deviation = _Z99 - sqrt(_Z99**2 - 2 * log(ratio))
    return replace(workload, isl_squared=workload.isl**2 * exp(deviation**2))


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

    def with_more(role: Role, more: int) -> float | None:
        changed = tuple(
            replace(choice, replicas=choice.replicas + more * (choice.role is role))
            for choice in fleet
        )
        if not all(choice.replicas for choice in changed):
            return None
        return fleet_attainment(changed, sla, workload)

    return Sizing(
        roles={
            choice.role: RoleSizing(
                replicas=choice.replicas,
                parallelism=choice.entry.parallelism,
                gpus=choice.gpus,
                capacity_rps=1 / engine_share(choice.role, choice.entry.engine, sla, workload),
                attainment=by_role[choice.role],
                one_fewer=with_more(choice.role, -1),
                one_more=with_more(choice.role, 1),
            )
            for choice in fleet
        },
        gpus=gpus,
        attainment=prod(by_role.values()),
        cost_per_hour=None if price is None else price * gpus,
        notes=tuple(
            note
            for choice in fleet
            for note in beyond_points(choice.role, choice.entry, workload, replicas=choice.replicas)
        ),
    )
