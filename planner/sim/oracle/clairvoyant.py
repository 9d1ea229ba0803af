"""The cheapest schedule that perfect foresight finds, simulated: what policies are measured by."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np

from planner.core.role import Role
from planner.sim.oracle.bound import work_bound
from planner.sim.oracle.demand import misses
from planner.sim.oracle.evaluate import evaluator
from planner.sim.oracle.grid import Floats, Grid, Schedule
from planner.sim.oracle.programme import cheapest
from planner.sim.oracle.search import Found, Search
from planner.sim.result import SimResult
from planner.sim.run import Scenario, follow, unheard
from planner.sim.score import UNSCORED_SECONDS, score
from planner.traces import Trace

_PRICES = (0.001, 10.0)
"""GPU seconds for a miss, from next to nothing to more than any request is worth."""
_HALVINGS = 6
_PROVISIONS: tuple[dict[Role, float], ...] = (
    {Role.DECODE: 0.9},
    {Role.DECODE: 0.95},
    {},
    *(dict.fromkeys(Role, times) for times in (1.1, 1.25, 1.5, 2.0, 3.0)),
)
"""Times the fluid demand that the programme provides for. ITL is a mean over a request's life, so
that decoding can do with less than its peaks; prompts need all, or more where they are long."""
_ENOUGH = 3
"""The first of these that work are compared, the rest is for loads that the model is far off."""
_DEARER = (2.0, 1.0, 0.5)
"""Prices of the passes of local search, as multiples of the programme's: first what few misses
buy, at last all of them that there may be. Where few changes were left to try, more passes follow,
each at half the price of the former."""
_WORK = 160_000_000
"""Requests that a search simulates in all, unless that is fewer or more evaluations than these."""
_FEWEST, _MOST = 80, 200
_FIXED = 3
"""Evaluations kept for fleets that do not change, which mostly need no more."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Oracle:
    """A feasible schedule that knows the whole trace, and how far below it the optimum may be.

    The optimum lies between *work_bound_gpu_hours* and *gpu_hours*. *schedule* has, for each
    role, from when on how many replicas are asked for.
    """

    gpu_hours: float
    attainment: float
    method: str
    """``dynamic programme``, or what made it cheaper: ``local search`` or a ``fixed fleet``."""
    work_bound_gpu_hours: float
    schedule: Mapping[Role, tuple[tuple[float, int], ...]]
    result: SimResult

    @property
    def gap(self) -> float:
        """Share of the cost that the bound leaves open: 0.3 says that 30 % less is not excluded."""
        return 1 - self.work_bound_gpu_hours / self.gpu_hours if self.gpu_hours else 0.0


def oracle(
    trace: Trace,
    scenario: Scenario,
    *,
    attainment: float = 0.99,
    start_seconds: float = UNSCORED_SECONDS,
    evaluations: int | None = None,
    progress: Callable[[float], None] = unheard,
) -> Oracle:
    """Return the cheapest schedule found that attains *attainment* from *start_seconds* on.

    It plays by the rules of every policy: the fleet of *scenario* at the start, the same cold
    start, asked at the same moments. A dynamic programme on the fluid demand gives a schedule,
    local search improves it, and *evaluations* is how often the trace may be simulated for that:
    80 to 200 times, the fewer the more requests it has, unless told. Equal arguments give equal
    results. Where nothing attains as much, the schedule that attains most of those tried is
    returned.
    """
    if evaluations is None:
        evaluations = min(_MOST, max(_FEWEST, _WORK // max(1, len(trace))))
    search = _Run(trace, scenario, attainment, start_seconds=start_seconds, evaluations=evaluations)
    return search.oracle(progress)


class _Run:
    def __init__(
        self,
        trace: Trace,
        scenario: Scenario,
        attainment: float,
        *,
        start_seconds: float,
        evaluations: int,
    ) -> None:
        self._trace = trace
        self._scenario = scenario
        self._asked = attainment
        self._grid = Grid.of(trace, scenario, start_seconds=start_seconds)
        self._search = Search(
            evaluator(trace, scenario, self._grid),
            self._grid,
            attainment=attainment,
            evaluations=evaluations,
        )

    def oracle(self, progress: Callable[[float], None]) -> Oracle:
        """Return the cheapest schedule found."""
        programmed, price = self._programmed()
        progress(0.1)
        best = self._searched(programmed, price, progress)
        method = "dynamic programme" if best is programmed else "local search"
        fixed = self._fixed(best)
        progress(1.0)
        if fixed is not best:
            return self._told(fixed, method="fixed fleet")
        return self._told(best, method=method)

    def _searched(self, best: Found, price: float, progress: Callable[[float], None]) -> Found:
        """Return the cheapest that local search makes of *best*, in passes at falling prices."""
        self._search.left -= _FIXED
        passes = len(_DEARER) if self._is_enough(best) else 0
        for number in range(1, passes + 1):
            share = self._search.left // (passes + 1 - number)
            best = self._polished(best, price=price * _DEARER[number - 1], evaluations=share)
            progress(0.1 + 0.8 * number / passes)
        for halvings in range(1, _HALVINGS + 1 if passes else 0):
            cheaper = price * _DEARER[-1] / 2**halvings
            best = self._polished(best, price=cheaper, evaluations=self._search.left)
        return best

    def _polished(self, best: Found, *, price: float, evaluations: int) -> Found:
        if evaluations <= 0:
            return best
        found = self._search.polished(best, price=price, evaluations=evaluations)
        return self._cheapest([best, found])

    def _fixed(self, best: Found) -> Found:
        """Return the cheapest fixed fleet found where it costs less than *best*, else *best*.

        A load that is hard to follow may be met best by fleets that do not try to.
        """
        mean, one_more = best.schedule.mean(axis=0), np.eye(len(self._grid.roles), dtype=np.int64)
        each = float(self._grid.step_seconds.sum()) * np.array(self._grid.gpus)
        share = best.outcome.cost / max(1.0, float(mean @ each))
        fewest = np.maximum(1, np.floor(mean * share)).astype(np.int64)
        tried = [fewest, *(fewest + one_more)]
        while True:
            dearest = best.outcome.cost
            tried = [n for n in tried if n.min() > 0 and n @ each < dearest]
            found = [self._search.look(np.tile(n, (self._grid.steps, 1))) for n in tried]
            cheapest = self._cheapest([best, *found])
            if cheapest is best:
                return best
            best, tried = cheapest, list(cheapest.schedule[0] - one_more)

    def _programmed(self) -> tuple[Found, float]:
        """Return the programme's cheapest schedule that just attains what was asked, and its price.

        Without any, it is the one that attains most.
        """
        tried: list[tuple[Found, float]] = []
        for number, provision in enumerate(_PROVISIONS):
            if number >= _ENOUGH and any(self._is_enough(found) for found, _ in tried):
                break
            tables = misses(self._trace, self._scenario, self._grid, provision=provision)
            tried.append(self._just_enough(tables))
        best = self._cheapest([found for found, _ in tried])
        return next((found, price) for found, price in tried if found is best)

    def _just_enough(self, tables: list[Floats]) -> tuple[Found, float]:
        """Return the schedule for the lowest price that attains enough, else for the highest."""
        low, price = _PRICES
        found = self._search.look(self._programme(tables, price))
        for _ in range(_HALVINGS if self._is_enough(found) else 0):
            middle = (low * price) ** 0.5
            tried = self._search.look(self._programme(tables, middle))
            if self._is_enough(tried):
                found, price = tried, middle
            else:
                low = middle
        return found, price

    def _is_enough(self, found: Found) -> bool:
        return found.outcome.attainment >= self._asked

    def _programme(self, tables: list[Floats], price: float) -> Schedule:
        grid = self._grid
        held = grid.first_free + grid.lead
        columns = [
            cheapest(
                table,
                price=price / gpus,
                step_cost=grid.step_seconds,
                start_cost=grid.start_seconds,
                opening=(initial, held),
            )
            for table, gpus, initial in zip(tables, grid.gpus, grid.initial, strict=True)
        ]
        return np.stack(columns, axis=1)

    def _cheapest(self, history: list[Found]) -> Found:
        """Return the cheapest that attains what was asked, or what attains most."""
        enough = [found for found in history if self._is_enough(found)]
        if not enough:
            return max(history, key=lambda found: found.outcome.attainment)
        return min(enough, key=lambda found: found.outcome.cost)

    def _told(self, found: Found, *, method: str) -> Oracle:
        asked = self._grid.asked(found.schedule)
        result = follow(self._trace, self._scenario, schedule=asked)
        reached = score(result, start_seconds=self._grid.start)
        return Oracle(
            gpu_hours=float(reached.gpu_hours),
            attainment=float(reached.attainment),
            method=method,
            work_bound_gpu_hours=work_bound(
                self._trace,
                self._scenario,
                attainment=self._asked,
                start_seconds=self._grid.start,
            ),
            schedule=asked.changes(),
            result=result,
        )
