"""Fleets that never change: the cheapest that keeps the SLA, found in hindsight, and its kin."""

from bisect import bisect_left
from collections.abc import Iterator, Mapping
from dataclasses import replace

from planner.core.policy import PolicyConfig
from planner.core.profile import Profile
from planner.core.role import Role
from planner.core.sizing import size
from planner.sim.backtest import workload
from planner.sim.result import SimResult
from planner.sim.run import Scenario, simulate
from planner.sim.score import score
from planner.traces import Trace

SHARES = (0.7, 0.85, 1.15, 1.3)
"""Of the best fleet, at its ratio of roles: the curve that fixed fleets can reach."""
Fleet = Mapping[Role, int]


class FixedFleets:
    """Runs of fixed fleets on one trace, each run once.

    They are judged by the scored window alone, as all other policies are here, while
    `planner.sim.static` judges by the whole trace.
    """

    def __init__(
        self, trace: Trace, scenario: Scenario, config: PolicyConfig, profile: Profile
    ) -> None:
        self._trace = trace
        self._scenario = scenario
        self._config = config
        self._profile = profile
        self._runs: dict[tuple[int, ...], SimResult] = {}

    def chosen(self) -> Iterator[tuple[float, Fleet, SimResult]]:
        """Yield the best fleet as share 1.0, then its `SHARES`, with what became of each."""
        best = self._best()
        yield 1.0, best, self._run(best)
        for share in SHARES:
            fleet = {role: self._clamp(role, round(n * share)) for role, n in best.items()}
            if fleet != best:
                yield share, fleet, self._run(fleet)

    def _best(self) -> Fleet:
        """Return the cheapest fleet that attains, or the largest allowed where none does.

        Each role is cut down with plenty of the other, then what helps most is added until it
        holds.
        """
        mean = size(
            self._profile, self._scenario.sla, workload(self._trace), roles=self._config.roles
        )
        low = {role: self._clamp(role, part.replicas) for role, part in mean.roles.items()}
        plenty = low
        while not self._holds(plenty):
            larger = {role: self._clamp(role, 2 * count) for role, count in plenty.items()}
            if larger == plenty:
                return plenty
            plenty = larger
        fleet: Fleet = {role: self._fewest(role, plenty) for role in plenty}
        while not self._holds(fleet):
            larger_ones = [{**fleet, r: n + 1} for r, n in fleet.items() if n < plenty[r]]
            fleet = max(larger_ones, key=self._attained)
        return fleet

    def _fewest(self, role: Role, plenty: Fleet) -> int:
        """Return the fewest of *role* that hold with *plenty* of the others, as *plenty* does."""
        fewer = range(1, plenty[role])
        return 1 + bisect_left(fewer, True, key=lambda count: self._holds({**plenty, role: count}))

    def _clamp(self, role: Role, count: int) -> int:
        return self._config.bounds[role].clamp(count)

    def _holds(self, fleet: Fleet) -> bool:
        return self._attained(fleet) >= self._scenario.sla.attainment

    def _attained(self, fleet: Fleet) -> float:
        return float(score(self._run(fleet)).attainment)

    def _run(self, fleet: Fleet) -> SimResult:
        key = tuple(fleet[role] for role in self._scenario.models)
        if key not in self._runs:
            self._runs[key] = simulate(self._trace, replace(self._scenario, initial=fleet))
        return self._runs[key]
