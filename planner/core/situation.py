"""What the decision about one role looks at, and what the engine model says about it."""

from dataclasses import dataclass, replace
from functools import cached_property

from planner.core.demand import engine_share
from planner.core.engine import EngineModel
from planner.core.headroom import expected
from planner.core.observation import Replicas, RoleLoad
from planner.core.policy import PolicyConfig
from planner.core.predict import best_attainment, role_attainment
from planner.core.role import Role
from planner.core.search import first_that
from planner.core.state import RoleMemory
from planner.core.workload import Workload

_MOST_REPLICAS = 1024
_CAPACITY_BISECTIONS = 6
# Part of the SLA's misses that is left to waiting, whatever the engines' own times take of them.
_LEAST_WAITING = 0.1


@dataclass(frozen=True, kw_only=True)
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

    @cached_property
    def forecast(self) -> float:
        """Replicas that will be busy at the end of the lead, before headroom."""
        return expected(self.memory.demand, windows=self.config.windows)

    @property
    def expected_rps(self) -> float:
        """The rate to provide for: what keeps the forecast replicas busy, with headroom."""
        share = engine_share(self.role, self.engine, self.config.sla, self.workload)
        return self.forecast * self.headroom / share

    @cached_property
    def reachable(self) -> float:
        """The attainment that replicas without end would bring."""
        return best_attainment(self.role, self.engine, self.config.sla, self.workload)

    @property
    def is_hopeless(self) -> bool:
        """Whether an engine alone is too slow for even the mean request."""
        load = self.workload
        mean = Workload(rate_rps=load.rate_rps, isl=load.isl, osl=load.osl)
        return not best_attainment(self.role, self.engine, self.config.sla, mean)

    @cached_property
    def aim(self) -> float:
        """The attainment to size for: the target, or nearly what can be reached of it.

        Reaching all of it would leave no prompt that may wait, at whatever number of replicas.
        """
        target = self.config.sla.attainment
        return min(target, self.reachable - _LEAST_WAITING * (1 - target))

    def holds(self, replicas: int, rate_rps: float) -> bool:
        """Return whether *replicas* hold *rate_rps* within the SLA, by the engine model.

        Where the target is out of reach for some prompts, for nearly all of the others.
        """
        workload = replace(self.workload, rate_rps=rate_rps)
        share = role_attainment(
            self.role, self.engine, self.config.sla, workload, replicas=replicas
        )
        return share >= self.aim

    def capacity_rps(self, needed: int, rate_rps: float) -> float:
        """Return what one replica holds, such that *rate_rps* over it rounds up to *needed*.

        That is the share of each in what one replica fewer than *needed* would hold: larger pools
        hold a little more each.
        """
        fewer = max(1, needed - 1)
        busy = fewer / engine_share(self.role, self.engine, self.config.sla, self.workload)
        low, high = (rate_rps, busy) if needed <= fewer else (0.0, min(rate_rps, busy))
        for _ in range(_CAPACITY_BISECTIONS):
            middle = (low + high) / 2
            low, high = (middle, high) if self.holds(fewer, middle) else (low, middle)
        return low / fewer

    def fewest(self, rate_rps: float) -> int:
        """Return the fewest replicas that hold *rate_rps*; none hold no rate at all."""
        if rate_rps <= 0:
            return 0
        return first_that(
            lambda replicas: self.holds(replicas, rate_rps),
            guess=self.replicas.current,
            most=_MOST_REPLICAS,
        )
