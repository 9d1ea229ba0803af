"""Schedules on a grid of steps: the replicas that serve, and what to ask for when."""

from collections.abc import Mapping
from dataclasses import dataclass
from math import ceil

import numpy as np
import numpy.typing as npt

from planner.core.role import Role
from planner.sim.run import Scenario
from planner.traces import Trace

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]

Schedule = Ints
"""Replicas that serve: one row a step, one column a role."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Grid:
    """The moments at which a policy is asked during a trace, and what a replica costs between."""

    roles: tuple[Role, ...]
    steps: int
    interval: float
    cold_start: float
    hands_off: float
    start: float
    """From when on requests and GPU time count, seconds."""
    end: float
    """The last arrival."""
    initial: tuple[int, ...]
    gpus: tuple[int, ...]

    @classmethod
    def of(cls, trace: Trace, scenario: Scenario, *, start_seconds: float) -> "Grid":
        """Return the grid on which *trace* meets *scenario*."""
        roles = tuple(role for role in Role if role in scenario.models)
        return cls(
            roles=roles,
            steps=int(trace.duration_seconds // scenario.interval_seconds) + 1,
            interval=scenario.interval_seconds,
            cold_start=scenario.cold_start_seconds,
            hands_off=getattr(scenario, "hands_off_seconds", 0.0),
            start=start_seconds,
            end=trace.duration_seconds,
            initial=tuple(scenario.initial.get(role, 0) for role in roles),
            gpus=tuple(scenario.gpus_per_replica.get(role, 1) for role in roles),
        )

    @property
    def lead(self) -> int:
        """Steps from asking for a replica until it serves."""
        return ceil(self.cold_start / self.interval - 1e-9)

    @property
    def first_free(self) -> int:
        """The first step at which a policy is obeyed."""
        return min(self.steps, ceil(self.hands_off / self.interval - 1e-9))

    @property
    def edges(self) -> Floats:
        """Begin of each step, and the end of the last."""
        edges: Floats = np.minimum(np.arange(self.steps + 1) * self.interval, self.end)
        return edges

    def billed(self, moments: Floats) -> Floats:
        """Return how much of the time up to *moments* counts."""
        time: Floats = np.clip(moments, self.start, self.end) - self.start
        return time

    @property
    def step_seconds(self) -> Floats:
        """What a serving replica's time in each step counts."""
        seconds: Floats = np.diff(self.billed(self.edges))
        return seconds

    @property
    def start_seconds(self) -> Floats:
        """What the cold start of a replica that serves from each step on counts."""
        begins = self.edges[:-1]
        seconds: Floats = self.billed(begins) - self.billed(begins - self.lead * self.interval)
        return seconds

    def wanted(self, schedule: Schedule) -> Ints:
        """Return what to ask for at each step so that *schedule* serves.

        A replica is asked for a cold start ahead. One that will be needed again within that time
        is kept: to stop it and start another would cost more.
        """
        padded = np.concatenate([schedule, np.repeat(schedule[-1:], self.lead, axis=0)])
        windows = np.lib.stride_tricks.sliding_window_view(padded, self.lead + 1, axis=0)
        wanted: Ints = windows.max(axis=-1)
        wanted[: self.first_free] = self.initial
        return wanted

    def asked(self, schedule: Schedule) -> "Asked":
        """Return what to ask for so that *schedule* serves, by the moment."""
        return Asked(grid=self, wanted=self.wanted(schedule))


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """What is asked for at each step of *grid*: its row of *wanted*."""

    grid: Grid
    wanted: Ints

    def __call__(self, at: float) -> Mapping[Role, int]:
        """Return the replicas of the step that begins at the moment *at*."""
        step = min(round(at / self.grid.interval), len(self.wanted) - 1)
        return dict(zip(self.grid.roles, self.wanted[step].tolist(), strict=True))

    def changes(self) -> dict[Role, tuple[tuple[float, int], ...]]:
        """Return, for each role, from when on how many are asked for."""
        return {
            role: tuple(
                (float(step * self.grid.interval), int(column[step]))
                for step in range(len(column))
                if step == 0 or column[step] != column[step - 1]
            )
            for role, column in zip(self.grid.roles, self.wanted.T, strict=True)
        }
