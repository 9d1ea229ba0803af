"""Which parallelism for which role, how many of each, and together or apart: by goodput per GPU."""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from itertools import product
from math import inf

from planner.core.demand import engine_share
from planner.core.engine import EngineModel
from planner.core.feasibility import infeasible, nearest_feasible
from planner.core.policy import AGGREGATED, DISAGGREGATED
from planner.core.profile import Parallelism, Profile
from planner.core.role import Role
from planner.core.sizing import Sizing, size
from planner.core.sla import Sla
from planner.core.workload import Workload
from planner.errors import ConfigError, SlaInfeasible

REFERENCE_GPUS = 512
"""GPUs of the fleet that topologies are compared at: so many that rounding hardly counts."""

# A fleet never gets by on less than this share of its work: an SLA may allow some to be late.
_SURELY = 0.9


@dataclass(frozen=True, slots=True, kw_only=True)
class Candidate:
    """What one replica of a role does per GPU, before anything is set aside for waiting."""

    role: Role
    parallelism: Parallelism
    rps_per_gpu: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Topology:
    """One way to serve a load: its fleet, and what of it is within the SLA."""

    sizing: Sizing
    rate_rps: float

    @property
    def goodput_per_gpu(self) -> float:
        """Requests a second and GPU that are within the SLA."""
        return self.rate_rps * self.sizing.attainment / self.sizing.gpus

    @property
    def parallelisms(self) -> dict[Role, Parallelism]:
        """The parallelism of every role."""
        return {role: part.parallelism for role, part in self.sizing.roles.items()}

    @property
    def prefill_per_decode(self) -> float | None:
        """Prefill replicas for each that decodes; None where one replica does both."""
        roles = self.sizing.roles
        if Role.PREFILL not in roles:
            return None
        return roles[Role.PREFILL].replicas / roles[Role.DECODE].replicas


@dataclass(frozen=True, slots=True, kw_only=True)
class Choice:
    """The topologies that meet the SLA, the best first, at the same load.

    Where none does, *infeasible* says so and *nearest* is the nearest target that one would meet;
    None where no target would help, such as for requests that do not fit.
    """

    sla: Sla
    workload: Workload
    topologies: tuple[Topology, ...]
    candidates: tuple[Candidate, ...]
    infeasible: str | None = None
    nearest: Sla | None = None

    @property
    def best(self) -> Topology | None:
        """The topology with the most goodput per GPU."""
        return self.topologies[0] if self.topologies else None


def choose(profile: Profile, sla: Sla, workload: Workload, *, gpus: int = REFERENCE_GPUS) -> Choice:
    """Return the best ways to serve *workload* within *sla*.

    A rate of 0 takes one that keeps about *gpus* GPUs busy.
    """
    candidates = tuple(_candidates(profile, sla, workload))
    load = workload
    if not workload.rate_rps:
        load = replace(workload, rate_rps=_busy_rate(candidates, gpus=gpus))
    found = [_topology(profile, sla, load, roles=roles) for roles in (DISAGGREGATED, AGGREGATED)]
    topologies = [topology for topology in found if isinstance(topology, Topology)]
    topologies.sort(key=lambda topology: -topology.goodput_per_gpu)
    refusals = [refusal for refusal in found if isinstance(refusal, SlaInfeasible)]
    return Choice(
        sla=sla,
        workload=load,
        topologies=tuple(topologies),
        candidates=candidates,
        infeasible=None if topologies else str(refusals[0]),
        nearest=None if topologies else _nearest(profile, sla, load),
    )


def _topology(
    profile: Profile, sla: Sla, workload: Workload, *, roles: frozenset[Role]
) -> Topology | SlaInfeasible:
    """Return the cheapest fleet of *roles*, or why there is none.

    Parallelisms are tried in the order of the GPUs that their work alone keeps busy, for as long
    as one may still be cheaper: most of them cannot be.
    """
    best: Sizing | None = None
    for least_gpus, chosen in _by_work(profile, sla, workload, roles=roles):
        if best is not None and _SURELY * least_gpus > best.gpus:
            break
        try:
            sizing = size(profile, sla, workload, roles=roles, parallelism=chosen)
        except (SlaInfeasible, ConfigError):  # of a nearest target that no SLA may have
            continue
        if best is None or (sizing.gpus, -sizing.attainment) < (best.gpus, -best.attainment):
            best = sizing
    if best is not None:
        return Topology(sizing=best, rate_rps=workload.rate_rps)
    return _refusal(profile, sla, workload, roles=roles)


def _refusal(
    profile: Profile, sla: Sla, workload: Workload, *, roles: frozenset[Role]
) -> SlaInfeasible:
    try:
        return infeasible(_engines(profile, roles), sla, workload)
    except ConfigError as error:  # the nearest target would be longer than any may be
        return SlaInfeasible(f"{sla}: no number of replicas meets it, nor would {error}")


def _engines(profile: Profile, roles: frozenset[Role]) -> dict[Role, list[EngineModel]]:
    return {role: [entry.engine for entry in profile.engines] for role in Role if role in roles}


def _by_work(
    profile: Profile, sla: Sla, workload: Workload, *, roles: frozenset[Role]
) -> list[tuple[float, dict[Role, Parallelism]]]:
    """Return every choice of parallelisms with the GPUs that its work takes, the fewest first."""
    ordered = [role for role in Role if role in roles]
    found = []
    for entries in product(profile.engines, repeat=len(ordered)):
        chosen = dict(zip(ordered, entries, strict=True))
        gpus = sum(
            workload.rate_rps
            * engine_share(role, entry.engine, sla, workload)
            * entry.parallelism.gpus
            for role, entry in chosen.items()
        )
        found.append((gpus, {role: entry.parallelism for role, entry in chosen.items()}))
    return sorted(found, key=lambda pair: pair[0])


def _candidates(profile: Profile, sla: Sla, workload: Workload) -> Iterator[Candidate]:
    for role in Role:
        for entry in profile.engines:
            share = engine_share(role, entry.engine, sla, workload)
            rate = 0.0 if share == inf else 1 / share
            yield Candidate(
                role=role,
                parallelism=entry.parallelism,
                rps_per_gpu=rate / entry.parallelism.gpus,
            )


def _busy_rate(candidates: tuple[Candidate, ...], *, gpus: int) -> float:
    """Return the rate that keeps about *gpus* GPUs of the best parallelisms busy."""
    best = {
        role: max(found.rps_per_gpu for found in candidates if found.role is role) for role in Role
    }
    apart = 0.0
    if best[Role.PREFILL] and best[Role.DECODE]:
        apart = 1 / (1 / best[Role.PREFILL] + 1 / best[Role.DECODE])
    return gpus * max(apart, best[Role.AGGREGATED]) or 1.0


def _nearest(profile: Profile, sla: Sla, workload: Workload) -> Sla | None:
    """Return the nearest SLA that some topology meets, relaxed as little as possible."""
    found = []
    for roles in (DISAGGREGATED, AGGREGATED):
        near = _nearest_of(profile, sla, workload, roles=roles)
        if near is not None:
            found.append(near)
    return min(found, key=lambda near: _relaxed(sla, near), default=None)


def _nearest_of(
    profile: Profile, sla: Sla, workload: Workload, *, roles: frozenset[Role]
) -> Sla | None:
    """Return the nearest SLA that *roles* meet; None where it takes more than a looser target."""
    try:
        near = nearest_feasible(_engines(profile, roles), sla, workload)
        size(profile, near, workload, roles=roles)
    except (SlaInfeasible, ConfigError):
        return None
    return near


def _relaxed(sla: Sla, near: Sla) -> float:
    """Return by what factor the targets of *near* are longer than those of *sla*, together."""
    factor = 1.0
    for before, after in (
        (sla.ttft_seconds, near.ttft_seconds),
        (sla.itl_seconds, near.itl_seconds),
    ):
        if before is not None and after is not None:
            factor *= after / before
    return factor
