"""Replicas for a steady load: the fewest GPUs whose predicted attainment reaches the SLA's."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from math import ceil, inf

from planner.core.demand import engine_share
from planner.core.engine import EngineModel
from planner.core.feasibility import infeasible
from planner.core.policy import AGGREGATED, DISAGGREGATED
from planner.core.predict import attainment, best_attainment, role_attainment
from planner.core.profile import EngineProfile, Parallelism, Profile
from planner.core.role import Role
from planner.core.sla import Sla
from planner.core.workload import Workload
from planner.errors import ConfigError, SlaInfeasible

_MOST_REPLICAS = 65_536


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


@dataclass(frozen=True, slots=True, kw_only=True)
class _Choice:
    """One role at one parallelism."""

    role: Role
    entry: EngineProfile
    replicas: int

    @property
    def gpus(self) -> int:
        return self.replicas * self.entry.parallelism.gpus


def _sized(
    profile: Profile,
    sla: Sla,
    workload: Workload,
    *,
    roles: frozenset[Role],
    fixed: Mapping[Role, Parallelism],
) -> Sizing:
    entries = {role: _entries(profile, fixed.get(role)) for role in Role if role in roles}
    try:
        best = {role: _best(role, options, sla, workload) for role, options in entries.items()}
        return _sizing(profile, sla, workload, _grown_to_target(best, sla, workload))
    except _OutOfReach:
        engines = {role: [e.engine for e in options] for role, options in entries.items()}
        raise infeasible(engines, sla, workload) from None


class _OutOfReach(Exception):
    """Replicas without end would not do."""


def _entries(profile: Profile, fixed: Parallelism | None) -> tuple[EngineProfile, ...]:
    return profile.engines if fixed is None else (profile.at(fixed),)


def _best(role: Role, entries: Sequence[EngineProfile], sla: Sla, workload: Workload) -> _Choice:
    """Return the parallelism and replicas of *role* with the fewest GPUs."""
    choices = []
    for entry in entries:
        replicas = _fewest(role, entry.engine, sla, workload)
        if replicas is not None:
            choices.append(_Choice(role=role, entry=entry, replicas=replicas))
    if not choices:
        raise _OutOfReach
    return min(choices, key=lambda choice: (choice.gpus, choice.entry.parallelism))


def _fewest(role: Role, engine: EngineModel, sla: Sla, workload: Workload) -> int | None:
    """Return the fewest replicas of *role* that reach the attainment; None when none do."""

    def holds(replicas: int) -> bool:
        share = role_attainment(role, engine, sla, workload, replicas=replicas)
        return share >= sla.attainment

    if best_attainment(role, engine, sla, workload) < sla.attainment:
        return None
    share = engine_share(role, engine, sla, workload)
    return None if share == inf else _first(holds, start=max(1, ceil(workload.rate_rps * share)))


def _first(holds: Callable[[int], bool], *, start: int) -> int | None:
    """Return the least count from *start* on that *holds*, which stays true once it is."""
    high = start
    while not holds(high):
        if high >= _MOST_REPLICAS:
            return None
        high = min(2 * high, _MOST_REPLICAS)
    low = max(start, high // 2)
    while low < high:
        middle = (low + high) // 2
        low, high = (low, middle) if holds(middle) else (middle + 1, high)
    return high


def _grown_to_target(
    choices: dict[Role, _Choice], sla: Sla, workload: Workload
) -> dict[Role, _Choice]:
    """Return *choices* with replicas added until TTFT and ITL are met together.

    Each role alone reaches the target; together they may miss it by the product of their rests.
    """
    while _attainment(choices, sla, workload) < sla.attainment:
        grown = [{**choices, role: _one_more(choice)} for role, choice in choices.items()]
        best = max(grown, key=lambda candidate: _attainment(candidate, sla, workload))
        if _attainment(best, sla, workload) <= _attainment(choices, sla, workload):
            raise _OutOfReach
        choices = best
    return choices


def _one_more(choice: _Choice) -> _Choice:
    return replace(choice, replicas=choice.replicas + 1)


def _attainment(choices: Mapping[Role, _Choice], sla: Sla, workload: Workload) -> float:
    return attainment(
        {role: choice.entry.engine for role, choice in choices.items()},
        sla,
        workload,
        replicas={role: choice.replicas for role, choice in choices.items()},
    )


def _sizing(
    profile: Profile, sla: Sla, workload: Workload, choices: Mapping[Role, _Choice]
) -> Sizing:
    gpus = sum(choice.gpus for choice in choices.values())
    price = profile.gpu_price_per_hour
    return Sizing(
        roles={
            role: RoleSizing(
                replicas=choice.replicas,
                parallelism=choice.entry.parallelism,
                gpus=choice.gpus,
                capacity_rps=1 / engine_share(role, choice.entry.engine, sla, workload),
                attainment=role_attainment(
                    role, choice.entry.engine, sla, workload, replicas=choice.replicas
                ),
            )
            for role, choice in choices.items()
        },
        gpus=gpus,
        attainment=_attainment(choices, sla, workload),
        cost_per_hour=None if price is None else price * gpus,
    )
