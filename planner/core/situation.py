"""What the decision about one role looks at, and the figures that follow from it."""

from dataclasses import dataclass, replace
from math import inf

from planner.core.demand import engine_share, replicas_needed
from planner.core.engine import EngineModel
from planner.core.forecast import expected
from planner.core.observation import Replicas, RoleLoad
from planner.core.policy import PolicyConfig
from planner.core.predict import role_attainment
from planner.core.role import Role
from planner.core.state import RoleMemory
from planner.core.workload import Workload


@dataclass(frozen=True, slots=True, kw_only=True)
class Situation:
    """Everything that the decision about one role looks at."""

    config: PolicyConfig
    role: Role
    engine: EngineModel
    memory: RoleMemory
    workload: Workload
    """The smoothed arrivals and their lengths."""
    replicas: Replicas
    load: RoleLoad
    headroom: float
    """The factor on the forecast, from how past ones turned out."""

    @property
    def forecast(self) -> float:
        """Replicas expected to be busy at the end of the lead, before headroom."""
        return expected(self.memory.demand, windows=self.config.windows)

    def attainment(self, replicas: int) -> float:
        """Return the attainment that *replicas* of the role reach at the expected rate."""
        rate_rps = max(self.workload.rate_rps, self.forecast * self.capacity_rps)
        return role_attainment(
            self.role,
            self.engine,
            self.config.sla,
            replace(self.workload, rate_rps=rate_rps),
            replicas=replicas,
        )

    @property
    def capacity_rps(self) -> float:
        """The rate that one replica holds within the SLA, waiting counted.

        At no load at all, the rate at which it is busy.
        """
        sla, workload = self.config.sla, self.workload
        replicas = replicas_needed(self.role, self.engine, sla, workload)
        if workload.rate_rps > 0 and 0 < replicas < inf:
            return workload.rate_rps / replicas
        return 1 / engine_share(self.role, self.engine, sla, workload)
