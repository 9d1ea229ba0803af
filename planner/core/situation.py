"""What the decision about one role looks at, and what follows from it."""

from math import sqrt

from planner.core.headroom import BURST_HEADROOM, Errors
from planner.core.observation import Observation, Replicas, RoleLoad
from planner.core.peaks import Peaks, highest, with_sample
from planner.core.policy import PolicyConfig
from planner.core.pressure import lateness_factor
from planner.core.shown import Target
from planner.core.state import RoleMemory
from planner.core.steady import reachable
from planner.core.value import value
from planner.core.workload import Workload

# A need this many roots below its maximum may be so by chance alone: a sum of independent requests
# differs by a root of their number.
_CHANCE = 0.3

_MOST_HIGHS = 16
_NO_LOAD = RoleLoad()


@value
class Situation:
    """Everything that the decision about one role looks at; see `of`."""

    config: PolicyConfig
    target: Target
    late_share: float | None
    replicas: Replicas
    load: RoleLoad
    errors: Errors
    """How past forecasts turned out, the present interval left out."""
    forecast: float
    """Replicas that will be needed at the end of the lead, before headroom."""
    headroom: float
    """The factor on the forecast that leaves as many requests late as the SLA allows."""
    burst: float | None
    """What the largest of the last bursts needed, where forecasts cannot foresee them."""
    need: float
    """Replicas to provide, as a real number.

    Bursts that outrun every forecast are not met by a multiple of what there is before them.
    They are met by holding what the last ones needed.
    """
    highs: Peaks
    """The largest needs of the window in which a load is told steady, this one included."""
    reachable: float
    """The attainment that replicas without end would bring."""

    @classmethod
    def of(
        cls,
        config: PolicyConfig,
        target: Target,
        memory: RoleMemory,
        *,
        errors: Errors,
        observation: Observation,
    ) -> "Situation":
        """Return what follows from *memory*, which has seen *observation*, for *target*'s role."""
        demand = memory.demand
        headroom = errors.headroom(config.late_allowance)
        burst = highest(demand.bursts) if headroom > BURST_HEADROOM else None
        need = config.headroom * max(demand.forecast * min(headroom, BURST_HEADROOM), burst or 0.0)
        return cls(
            config=config,
            target=target,
            late_share=memory.late_share,
            replicas=observation.replicas(target.role),
            load=observation.load.get(target.role, _NO_LOAD),
            errors=errors,
            forecast=demand.forecast,
            headroom=headroom,
            burst=burst,
            need=need,
            highs=with_sample(
                memory.highs,
                observation.at,
                need,
                window_seconds=config.steady_seconds,
                most=_MOST_HIGHS,
            ),
            reachable=reachable(target),
        )

    @property
    def lateness(self) -> float:
        """A further factor on the need while more requests are late than the SLA allows."""
        return lateness_factor(self.late_share, attainment=self.config.sla.attainment)

    @property
    def lasting_need(self) -> float:
        """The largest recent need while the present one is near it, or else the present one.

        Under a steady load needs differ by chance alone, and following them would only cost starts.
        """
        high = highest(self.highs) or 0.0
        return high if self.need > high - _CHANCE * sqrt(high) else self.need

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
