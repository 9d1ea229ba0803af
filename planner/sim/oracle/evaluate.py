"""What a schedule comes to when it is simulated: misses and GPU time of every step."""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from planner.sim.oracle.grid import Floats, Grid, Ints, Schedule
from planner.sim.result import SimResult
from planner.sim.run import Scenario, follow
from planner.traces import Trace


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Outcome:
    """Misses and GPU seconds by step, of what counts; of *requests* in all."""

    misses: Floats
    gpu_seconds: Floats
    requests: int

    @property
    def attainment(self) -> float:
        """Share of requests that met the SLA."""
        return 1.0 - float(self.misses.sum()) / max(1, self.requests)

    @property
    def cost(self) -> float:
        """GPU seconds in all."""
        return float(self.gpu_seconds.sum())


Evaluate = Callable[[Schedule], Outcome]
"""From a schedule to what it comes to."""


def evaluator(trace: Trace, scenario: Scenario, grid: Grid) -> Evaluate:
    """Return what simulates *trace* on a schedule."""

    def evaluate(schedule: Schedule) -> Outcome:
        return outcome(follow(trace, scenario, schedule=grid.asked(schedule)), grid)

    return evaluate


def outcome(result: SimResult, grid: Grid) -> Outcome:
    """Return what *result* came to, by step."""
    missed = result.arrival_seconds[~result.within_sla]
    begins = np.array([change.at for change in result.changes])
    held = np.array([result.gpus(change.fleet) for change in result.changes])
    # The integral of the GPUs held, at every edge of the grid.
    moments = np.append(begins, np.inf)
    until = np.concatenate([[0.0], np.cumsum(held[:-1] * np.diff(begins))])
    edges = np.clip(grid.edges, grid.start, grid.end)
    at = np.searchsorted(moments, edges, side="right") - 1
    return Outcome(
        misses=_arrivals_by_step(missed, grid).astype(np.float64),
        gpu_seconds=np.diff(until[at] + held[at] * (edges - begins[at])),
        requests=int((result.arrival_seconds >= grid.start).sum()),
    )


def _arrivals_by_step(arrival: Floats, grid: Grid) -> Ints:
    """Return the requests that count, by the step in which they arrive."""
    counted = arrival[arrival >= grid.start]
    steps = np.minimum((counted / grid.interval).astype(np.int64), grid.steps - 1)
    return np.bincount(steps, minlength=grid.steps)
