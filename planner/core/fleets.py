"""The search for the cheapest fleet: every parallelism of every role, and how many of each."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import product
from math import ceil, inf, prod

from planner.core.demand import engine_share
from planner.core.predict import attainment_by_role, best_attainment
from planner.core.profile import EngineProfile
from planner.core.role import Role
from planner.core.search import first_that
from planner.core.sla import Sla
from planner.core.workload import Workload

_MOST_REPLICAS = 65_536


@dataclass(frozen=True, slots=True, kw_only=True)
class Choice:
    """One role's replicas at one parallelism."""

    role: Role
    entry: EngineProfile
    replicas: int

    @property
    def gpus(self) -> int:
        """GPUs of all its replicas."""
        return self.replicas * self.entry.parallelism.gpus


Fleet = tuple[Choice, ...]


def cheapest_fleet(
    entries: Mapping[Role, Sequence[EngineProfile]], sla: Sla, workload: Workload
) -> Fleet | None:
    """Return the fleet with the fewest GPUs that holds *workload* within *sla*; None if none does.

    *entries* are the parallelisms to choose from. The optimum over them: what meets a tighter SLA
    or more load is also a candidate here, so neither a looser SLA nor less load ever needs more.
    """
    fleets = []
    for chosen in product(*entries.values()):
        found = _cheapest(dict(zip(entries, chosen, strict=True)), sla, workload)
        if found is not None:
            fleets.append(found)
    if not fleets:
        return None
    return min(fleets, key=lambda fleet: (_gpus(fleet), -fleet_attainment(fleet, sla, workload)))


def fleet_attainment(fleet: Fleet, sla: Sla, workload: Workload) -> float:
    """Return the predicted attainment of *fleet*."""
    return prod(attainments(fleet, sla, workload).values())


def attainments(fleet: Fleet, sla: Sla, workload: Workload) -> dict[Role, float]:
    """Return the predicted attainment of *fleet* by role."""
    return attainment_by_role(
        {choice.role: choice.entry.engine for choice in fleet},
        sla,
        workload,
        replicas={choice.role: choice.replicas for choice in fleet},
    )


def _cheapest(chosen: Mapping[Role, EngineProfile], sla: Sla, workload: Workload) -> Fleet | None:
    """Return the cheapest fleet at one parallelism for each role.

    More decode replicas take shorter steps, which leaves prefill more of the TTFT target: so the
    decode replicas grow from the fewest that hold ITL for as long as that may save GPUs.
    """
    best_share = 1.0
    for role, entry in chosen.items():
        best_share *= best_attainment(role, entry.engine, sla, workload)
    starts = {role: _start(role, entry, sla, workload) for role, entry in chosen.items()}
    if best_share < sla.attainment or inf in starts.values():
        return None
    search = _Search(chosen, sla, workload)
    first, last = next(iter(chosen)), list(chosen)[-1]
    if first is last:
        return search.smallest(first, {}, start=int(starts[first]))
    return search.pair(first, last, starts={role: int(count) for role, count in starts.items()})


def _start(role: Role, entry: EngineProfile, sla: Sla, workload: Workload) -> float:
    """Return about as many replicas as *workload* keeps busy; infinite when no number will do."""
    if not workload.rate_rps:
        return 1.0
    share = engine_share(role, entry.engine, sla, workload)
    return share if share == inf else max(1.0, ceil(workload.rate_rps * share))


class _Search:
    """Counts for one parallelism of each role."""

    def __init__(self, chosen: Mapping[Role, EngineProfile], sla: Sla, workload: Workload) -> None:
        self._chosen = chosen
        self._sla = sla
        self._workload = workload

    def pair(self, first: Role, last: Role, *, starts: Mapping[Role, int]) -> Fleet | None:
        """Return the cheapest counts of *first* (prefill) and *last* (decode)."""
        plenty = self.smallest(first, {last: _MOST_REPLICAS}, start=starts[first])
        least = self.smallest(last, {first: _MOST_REPLICAS}, start=starts[last])
        if plenty is None or least is None:
            return None
        floor_gpus = plenty[0].gpus
        best: Fleet | None = None
        count = least[-1].replicas
        while best is None or floor_gpus + self._gpus(last, count) < _gpus(best):
            fewest = plenty[0].replicas
            found = self.smallest(first, {last: count}, start=fewest, least=fewest)
            if found is not None and (best is None or _gpus(found) < _gpus(best)):
                best = found
            count += 1
        return best

    def smallest(
        self, role: Role, others: Mapping[Role, int], *, start: int, least: int = 1
    ) -> Fleet | None:
        """Return the fleet with the fewest of *role* beside the *others* that holds."""

        def fleet(count: int) -> Fleet:
            counts = {**others, role: count}
            return tuple(
                Choice(role=role, entry=entry, replicas=counts[role])
                for role, entry in self._chosen.items()
            )

        def holds(count: int) -> bool:
            return self._holds(fleet(count))

        found = fleet(first_that(holds, guess=start, least=least, most=_MOST_REPLICAS))
        return found if self._holds(found) else None

    def _holds(self, fleet: Fleet) -> bool:
        return fleet_attainment(fleet, self._sla, self._workload) >= self._sla.attainment

    def _gpus(self, role: Role, count: int) -> int:
        return count * self._chosen[role].parallelism.gpus


def _gpus(fleet: Fleet) -> int:
    return sum(choice.gpus for choice in fleet)
