"""The cheapest fleet that never changes, found in hindsight: what scaling is compared with."""

from bisect import bisect_left
from collections.abc import Callable, Mapping
from dataclasses import replace

from planner.core.role import Role
from planner.sim.result import SimResult
from planner.sim.run import Scenario, simulate, unheard
from planner.traces import Trace


def best_static(
    trace: Trace,
    scenario: Scenario,
    *,
    most: Mapping[Role, int] | None = None,
    progress: Callable[[float], None] = unheard,
) -> SimResult:
    """Return the run of the cheapest fixed fleet that attains the SLA on *trace*.

    Where even *most* replicas (64 of each role unless told) miss it, that is their run. Each role
    is cut down with plenty of the others, then the fleet grows until it holds together: a minimum
    for each role, and for all of them close to one. *progress* starts again with every fleet.
    """
    search = _Search(trace, scenario, progress)
    plenty = search.plenty(most or dict.fromkeys(scenario.models, 64))
    if not search.holds(plenty):
        return search.run(plenty)
    fewest = {role: search.fewest(role, plenty) for role in plenty}
    return search.grown(fewest, plenty)


class _Search:
    def __init__(self, trace: Trace, scenario: Scenario, progress: Callable[[float], None]) -> None:
        self._trace = trace
        self._scenario = scenario
        self._progress = progress
        self._runs: dict[tuple[int, ...], SimResult] = {}

    def run(self, fleet: Mapping[Role, int]) -> SimResult:
        key = tuple(fleet[role] for role in self._scenario.models)
        if key not in self._runs:
            tried = replace(self._scenario, initial=fleet)
            self._runs[key] = simulate(self._trace, tried, progress=self._progress)
        return self._runs[key]

    def holds(self, fleet: Mapping[Role, int]) -> bool:
        return self.run(fleet).attainment >= self._scenario.sla.attainment

    def plenty(self, most: Mapping[Role, int]) -> dict[Role, int]:
        """Return a fleet that holds, of equal numbers where *most* allows, or all of *most*."""
        count = 1
        while True:
            fleet = {role: min(count, limit) for role, limit in most.items()}
            if self.holds(fleet) or count >= max(most.values()):
                return fleet
            count *= 2

    def fewest(self, role: Role, plenty: Mapping[Role, int]) -> int:
        """Return the fewest of *role* that hold while there is *plenty* of the others."""
        fewer = range(1, plenty[role])
        return 1 + bisect_left(fewer, True, key=lambda count: self.holds({**plenty, role: count}))

    def grown(self, fleet: Mapping[Role, int], plenty: Mapping[Role, int]) -> SimResult:
        """Add the replica that helps most until *fleet* holds; *plenty* of all does."""
        while not self.holds(fleet):
            larger = [{**fleet, r: n + 1} for r, n in fleet.items() if n < plenty[r]]
            fleet = max(larger, key=lambda candidate: self.run(candidate).attainment)
        return self.run(fleet)
