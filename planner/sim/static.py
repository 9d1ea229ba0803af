"""The cheapest fleet that never changes, found in hindsight: what scaling is compared with."""

from collections.abc import Callable, Mapping
from dataclasses import replace

from planner.core.role import Role
from planner.sim.result import SimResult
from planner.sim.run import Scenario, simulate
from planner.traces import Trace


def best_static(
    trace: Trace, scenario: Scenario, *, most: Mapping[Role, int] | None = None
) -> SimResult | None:
    """Return the run of the cheapest fixed fleet that attains the SLA on *trace*.

    None when even *most* replicas (64 of each role unless told) miss it. Each role is cut down
    with plenty of the others, then the fleet grows until it holds together: a minimum for each
    role, and for all of them close to one.
    """
    search = _Search(trace, scenario)
    plenty = search.plenty(most or dict.fromkeys(scenario.models, 64))
    if plenty is None:
        return None
    fewest = {role: search.fewest(role, plenty) for role in plenty}
    return search.grown(fewest, plenty)


class _Search:
    def __init__(self, trace: Trace, scenario: Scenario) -> None:
        self._trace = trace
        self._scenario = scenario
        self._runs: dict[tuple[int, ...], SimResult] = {}

    def run(self, fleet: Mapping[Role, int]) -> SimResult:
        key = tuple(fleet[role] for role in self._scenario.models)
        if key not in self._runs:
            self._runs[key] = simulate(self._trace, replace(self._scenario, initial=fleet))
        return self._runs[key]

    def holds(self, fleet: Mapping[Role, int]) -> bool:
        return self.run(fleet).attainment >= self._scenario.sla.attainment

    def plenty(self, most: Mapping[Role, int]) -> dict[Role, int] | None:
        """Return a fleet that holds, of equal numbers where *most* allows."""
        count = 1
        while True:
            fleet = {role: min(count, limit) for role, limit in most.items()}
            if self.holds(fleet):
                return fleet
            if count >= max(most.values()):
                return None
            count *= 2

    def fewest(self, role: Role, plenty: Mapping[Role, int]) -> int:
        """Return the fewest of *role* that hold while there is *plenty* of the others."""
        return _least(plenty[role], lambda count: self.holds({**plenty, role: count}))

    def grown(self, fleet: Mapping[Role, int], plenty: Mapping[Role, int]) -> SimResult:
        """Add the replica that helps most until *fleet* holds; *plenty* of all does."""
        while not self.holds(fleet):
            larger = [{**fleet, r: n + 1} for r, n in fleet.items() if n < plenty[r]]
            fleet = max(larger, key=lambda candidate: self.run(candidate).attainment)
        return self.run(fleet)


def _least(high: int, holds: Callable[[int], bool]) -> int:
    """Return the least count from 1 to *high* that holds, as *high* does."""
    low = 1
    while low < high:
        middle = (low + high) // 2
        low, high = (low, middle) if holds(middle) else (middle + 1, high)
    return high
