"""What the decision about one role looks at, and what follows from it."""

from dataclasses import dataclass
from functools import cached_property
from math import sqrt

from planner.core.headroom import Errors
from planner.core.observation import Replicas, RoleLoad
from planner.core.peaks import Peaks, highest, with_sample
from planner.core.policy import PolicyConfig
from planner.core.pressure import lateness_factor
from planner.core.shown import Target
from planner.core.state import RoleMemory
from planner.core.steady import reachable
from planner.core.workload import Workload

# A need this many roots below its maximum may be so by chance alone: a sum of independent requests
# differs by a root of their number.
_CHANCE = 0.3

# Forecasts that are off by more than this say too little.
BURST_HEADROOM = 2.0


@dataclass(frozen=True, kw_only=True)
class Situation:
    """Everything that the decision about one role looks at."""

    at: float
    config: PolicyConfig
    target: Target
    memory: RoleMemory
    replicas: Replicas
    load: RoleLoad
    errors: Errors
    """How past forecasts turned out, the present interval left out."""

    @property
    def forecast(self) -> float:
        """Replicas that will be needed at the end of the lead, before headroom."""
        return self.memory.demand.forecast

    @cached_property
    def headroom(self) -> float:
        """The factor on the forecast that leaves as many requests late as the SLA allows."""
        return self.errors.headroom(self.config.late_allowance)

    @cached_property
    def lateness(self) -> float:
        """A further factor while more requests are late than the SLA allows."""
        return lateness_factor(self.memory.late_share, attainment=self.config.sla.attainment)

    @cached_property
    def need(self) -> float:
        """Replicas to provide, as a real number.

        Bursts that outrun every forecast are not met by a multiple of what there is before them.
        They are met by holding what the last ones needed.
        """
        return self.config.headroom * max(
            self.forecast * min(self.headroom, BURST_HEADROOM), self.burst or 0.0
        )

    @property
    def burst(self) -> float | None:
        """What the largest of the last bursts needed, where forecasts cannot foresee them."""
        return highest(self.memory.demand.bursts) if self.headroom > BURST_HEADROOM else None

    @cached_property
    def highs(self) -> Peaks:
        """The largest needs of the window in which a load is told steady, this one included."""
        window = self.config.steady_seconds
        return with_sample(self.memory.highs, self.at, self.need, window_seconds=window, most=16)

    @property
    def lasting_need(self) -> float:
        """The largest recent need while the present one is near it, or else the present one.

        Under a steady load needs differ by chance alone, and following them would only cost starts.
        """
        high = highest(self.highs) or 0.0
        return high if self.need > high - _CHANCE * sqrt(high) else self.need

    @cached_property
    def reachable(self) -> float:
        """The attainment that replicas without end would bring."""
        return reachable(self.target)

    @property
    def is_hopeless(self) -> bool:
        """Whether an engine alone is too slow for even the mean request."""
        load = self.target.workload
        mean = Workload(rate_rps=load.rate_rps, isl=load.isl, osl=load.osl)
        return not reachable(
            Target(
                role=self.target.role,
                engine=self.target.engine,
                sla=self.target.sla,
                workload=mean,
            )
        )

    def attainment(self, replicas: int) -> float:
        """Return the share of requests for which *replicas* do their part when the lead ends."""
        if self.forecast <= 0:
            return self.reachable
        return self.reachable * self.errors.share_within(replicas / self.forecast)
