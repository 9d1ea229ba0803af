"""What came of a simulation: latencies of every request, the fleet over time and its cost."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from planner.core.observation import Replicas
from planner.core.plan import Plan
from planner.core.role import Role
from planner.core.sla import Sla
from planner.sim.fleet import FleetChange

Floats = npt.NDArray[np.float64]


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class SimResult:
    """Requests in order of arrival; seconds of the virtual clock, nan where something never was.

    *itl_seconds* is a request's mean, nan for those of one token. *plans* are the decisions made
    on the way, none for a fixed fleet.
    """

    sla: Sla
    arrival_seconds: Floats
    ttft_seconds: Floats
    itl_seconds: Floats
    finish_seconds: Floats
    failed: int
    """Requests that fit into no engine."""
    duration_seconds: float
    """Until the last arrival or the last token, whichever is later."""
    changes: Sequence[FleetChange]
    actions: Sequence[float]
    """When the policy changed a role's replicas, each role by itself."""
    gpus_per_replica: Mapping[Role, int]
    plans: Sequence[Plan] = ()
    retried: int = 0
    """Requests and prompts that started over because their replica died."""
    preempted: int = 0
    """Times that a request had to give its KV cache to others."""

    @property
    def requests(self) -> int:
        """Requests that arrived."""
        return len(self.ttft_seconds)

    @property
    def scale_actions(self) -> int:
        """Changes of a role's replicas that the policy made."""
        return len(self.actions)

    @property
    def completed(self) -> int:
        """Requests that got their last token."""
        return int(np.isfinite(self.finish_seconds).sum())

    @property
    def attainment(self) -> float:
        """Share of requests inside the SLA; late, failed and unfinished ones are misses."""
        return float(self.within_sla.mean()) if self.requests else 1.0

    @property
    def within_sla(self) -> npt.NDArray[np.bool_]:
        """For each request, whether it finished with TTFT and mean ITL inside the targets."""
        within: npt.NDArray[np.bool_] = np.isfinite(self.finish_seconds)
        if self.sla.ttft_seconds is not None:
            within = within & (self.ttft_seconds <= self.sla.ttft_seconds)
        if self.sla.itl_seconds is not None:
            within = within & ~(self.itl_seconds > self.sla.itl_seconds)
        return within

    @property
    def gpu_seconds(self) -> float:
        """GPU time held by starting, ready and draining replicas."""
        return self.gpu_seconds_between(0.0, self.duration_seconds)

    def gpu_seconds_between(self, start: float, end: float) -> float:
        """Return the GPU time held from *start* to *end*, in seconds of the virtual clock."""
        ends = [change.at for change in self.changes[1:]] + [self.duration_seconds]
        return sum(
            self.gpus(change.fleet) * max(0.0, min(until, end) - max(change.at, start))
            for change, until in zip(self.changes, ends, strict=True)
        )

    @property
    def peak_gpus(self) -> int:
        """Most GPUs that were held at any instant."""
        return max(self.gpus(change.fleet) for change in self.changes)

    def gpus(self, fleet: Mapping[Role, Replicas]) -> int:
        """Return the GPUs that *fleet* holds."""
        return sum(self.gpus_per_replica[role] * r.provisioned for role, r in fleet.items())

    def replicas(self, role: Role) -> tuple[int, int]:
        """Return the fewest and the most replicas of *role*, starting ones included."""
        counts = [change.fleet[role].current for change in self.changes]
        return min(counts), max(counts)
