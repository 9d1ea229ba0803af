"""What simulations came to: each policy's run, and the oracle beside them."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

from planner.api.document import Document, versioned
from planner.api.figures import simulation_document
from planner.api.setting import PLANNER, Setting
from planner.api.spares import warm_spares
from planner.core.plan import Step
from planner.core.role import Role
from planner.errors import ConfigError
from planner.sim.result import SimResult
from planner.sim.score import Score

if TYPE_CHECKING:
    from planner.sim.oracle import Oracle

_LATEST_SECONDS = 600.0
"""Plans this close to the end of a run tell what its load needs."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Wish:
    """The replicas that a policy asked for at one moment of the virtual clock."""

    at: float
    desired: Mapping[Role, int]


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Run:
    """What came of one policy; *wishes* are all that it asked for, none of a fixed fleet.

    *result* has every request of the trace, in arrays; *score* is of the scored window.
    """

    name: str
    result: SimResult
    score: Score
    wishes: tuple[Wish, ...]
    wall_seconds: float

    @property
    def warm_spares(self) -> dict[Role, Step]:
        """The step of each role that held most for bursts, if its latest plans still did."""
        plans = self.result.plans
        latest = plans[-1].at - _LATEST_SECONDS if plans else 0.0
        steps = [
            (role, step)
            for plan in plans
            if plan.at >= latest
            for role, decision in plan.decisions.items()
            if (step := warm_spares(decision)) is not None
        ]
        most = dict(sorted(steps, key=lambda one: one[1].after))
        return {role: most[role] for role in Role if role in most}


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Simulation:
    """All runs, in the order asked for, and the oracle if it was asked for."""

    setting: Setting
    runs: tuple[Run, ...]
    oracle: "Oracle | None"

    def __getitem__(self, policy: str) -> Run:
        """Return the run of *policy*; raises ConfigError for one that was not run."""
        for run in self.runs:
            if run.name == policy:
                return run
        ran = ", ".join(run.name for run in self.runs)
        raise ConfigError(f"no run of {policy!r} (there are: {ran})", hint=f"policies=[{policy!r}]")

    @property
    def result(self) -> SimResult:
        """What came of every request under the first policy: the only one, unless several ran."""
        return self.runs[0].result

    @property
    def attainment(self) -> float:
        """Share of that policy's requests inside the SLA, 0 to 1."""
        return self.result.attainment

    @property
    def gpu_hours(self) -> float:
        """GPU-hours that it held: starting, ready and draining replicas."""
        return self.result.gpu_seconds / 3600

    @property
    def warm_spares(self) -> Mapping[Role, Step]:
        """What this planner's own run held for bursts; empty when there was none."""
        return next((run.warm_spares for run in self.runs if run.name == PLANNER), {})

    def over_oracle(self, run: Run) -> float | None:
        """Return how many times the oracle's GPU-hours *run* took in the scored window."""
        if self.oracle is None or not self.oracle.gpu_hours:
            return None
        return run.score.gpu_hours / self.oracle.gpu_hours

    def to_dict(self) -> Document:
        """Return the document of ``planner simulate -o json``."""
        return versioned(simulation_document(self))
