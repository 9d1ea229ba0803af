"""What the operator may set about decisions, checked, and the windows that follow from it.

They follow from the lead, the time until a replica asked for now would serve: what happens faster
than that cannot be followed, only provided for.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from functools import cached_property

from planner.core.engine import EngineModel
from planner.core.forecast import MEMBERS, Horizon, Member
from planner.core.headroom import Windows
from planner.core.profile import Parallelism, Profile
from planner.core.role import Role
from planner.core.sla import Sla
from planner.errors import ConfigError

# Two hours at that lead: longer than a burst, shorter than the half of a day.
_STEADY_LEADS = 75.0
# Multiple of the SLA's misses for which a role's headroom may turn out too small: since numbers are
# rounded up and held, less than a third of them are late in the end.
_LATE_SHARES = 3.0

_ONE_GPU = Parallelism()

AGGREGATED = frozenset({Role.AGGREGATED})
DISAGGREGATED = frozenset({Role.PREFILL, Role.DECODE})


class Mode(StrEnum):
    """What decisions go by."""

    SLA = "sla"
    """The profile's engine model against the SLA."""
    LOAD = "load"
    """Queues and KV usage against thresholds, for a deployment without a profile."""


class Forecaster(StrEnum):
    """Who forecasts the demand at the end of the lead."""

    LEVEL = "level"
    """Part average, part average of the recent peaks."""
    ENSEMBLE = "ensemble"
    """All forecasters, weighted by how well each did lately."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Bounds:
    """The fewest and the most replicas of a role; raises ConfigError when they cross."""

    minimum: int = 1
    maximum: int = 64

    def __post_init__(self) -> None:
        """Raise ConfigError for a negative minimum or a maximum below it."""
        if self.minimum < 0:
            raise ConfigError(f"minimum {self.minimum} replicas: must be at least 0", hint="1")
        if self.maximum < max(1, self.minimum):
            raise ConfigError(
                f"maximum {self.maximum} replicas: must be at least {max(1, self.minimum)}",
                hint="raise the maximum or lower the minimum",
            )

    def clamp(self, replicas: int) -> int:
        """Return *replicas*, moved inside the bounds."""
        return min(self.maximum, max(self.minimum, replicas))


@dataclass(frozen=True, slots=True, kw_only=True)
class LoadTargets:
    """Thresholds per replica for `Mode.LOAD`, and for the pressure that every mode answers."""

    kv_usage: float = 0.80
    """Share of KV blocks in use at which a role is spread over more replicas."""
    waiting: float = 2.0
    """Requests waiting for each ready replica."""

    def __post_init__(self) -> None:
        """Raise ConfigError for a threshold out of range."""
        if not 0 < self.kv_usage <= 1:
            raise ConfigError(f"kv_usage {self.kv_usage:g}: must be above 0 and at most 1")
        if self.waiting <= 0:
            raise ConfigError(f"waiting {self.waiting:g} per replica: must be above 0")


def _default_bounds() -> dict[Role, Bounds]:
    return {Role.PREFILL: Bounds(), Role.DECODE: Bounds()}


@dataclass(frozen=True, kw_only=True)  # without slots, to compute its windows once
class PolicyConfig:
    """How to decide. The roles are the keys of *bounds*; raises ConfigError when out of range.

    A role without an entry in *parallelism* runs on one GPU. *max_gpus* None is unlimited.
    *stabilization_seconds* None holds a replica that has become idle for a third of a cold start:
    the forecast's own memory of peaks has held it for longer already.
    """

    sla: Sla
    bounds: Mapping[Role, Bounds] = field(default_factory=_default_bounds)
    parallelism: Mapping[Role, Parallelism] = field(default_factory=dict)
    max_gpus: int | None = None
    interval_seconds: float = 5.0
    cold_start_seconds: float = 60.0
    stabilization_seconds: float | None = None
    max_age_seconds: float | None = None
    """Older figures hold the fleet; None is three intervals."""
    tolerance: float = 0.05
    """Share of the expected rate that a replica more or less must be worth to be moved."""
    headroom: float = 1.0
    """A factor on the need, for those who want more or less than what was learned."""
    forecaster: Forecaster = Forecaster.ENSEMBLE
    mode: Mode = Mode.SLA
    load: LoadTargets = field(default_factory=LoadTargets)

    def __post_init__(self) -> None:
        """Raise ConfigError for a value out of range or floors beyond the GPU budget."""
        self._check_range("interval_seconds", self.interval_seconds, least=0.1, most=3600)
        self._check_range("cold_start_seconds", self.cold_start_seconds, least=0, most=7200)
        self._check_range("tolerance", self.tolerance, least=0, most=0.5)
        self._check_range("headroom", self.headroom, least=0.1, most=10)
        if self.stabilization_seconds is not None:
            self._check_range(
                "stabilization_seconds", self.stabilization_seconds, least=0, most=86400
            )
        if frozenset(self.bounds) not in (AGGREGATED, DISAGGREGATED):
            given = ", ".join(self.bounds) or "none"
            raise ConfigError(
                f"roles {given}: a deployment is aggregated, or prefill with decode",
                hint="give bounds for prefill and decode",
            )
        floor = sum(b.minimum * self.gpus_per_replica(r) for r, b in self.bounds.items())
        if self.max_gpus is not None and floor > self.max_gpus:
            raise ConfigError(
                f"max_gpus {self.max_gpus}: the minimum replicas alone need {floor} GPUs",
                hint=f"--max-gpus {floor}",
            )

    @staticmethod
    def _check_range(name: str, value: float, *, least: float, most: float) -> None:
        if not least <= value <= most:
            raise ConfigError(
                f"{name} {value:g}: must be between {least:g} and {most:g}",
                hint=f"the default is {PolicyConfig.__dataclass_fields__[name].default}",
            )

    def gpus_per_replica(self, role: Role) -> int:
        """Return the GPUs that one replica of *role* holds."""
        return self.parallelism.get(role, _ONE_GPU).gpus

    def engines(self, profile: Profile | None) -> dict[Role, EngineModel]:
        """Return each role's engine model from *profile*; none are needed in `Mode.LOAD`.

        Raises ConfigError without a profile, ProfileError when it lacks a role's parallelism.
        """
        if self.mode is Mode.LOAD:
            return {}
        if profile is None:
            raise ConfigError("mode sla needs a profile, and none is set", hint="--profile NAME")
        return {role: profile.engine(self.parallelism.get(role, _ONE_GPU)) for role in self.roles}

    @cached_property
    def roles(self) -> tuple[Role, ...]:
        """The roles decided about, in a fixed order."""
        return tuple(role for role in Role if role in self.bounds)

    @cached_property
    def lead_seconds(self) -> float:
        """Time until a replica asked for at the next decision serves: the forecast's horizon."""
        return self.cold_start_seconds + self.interval_seconds

    @cached_property
    def hold_seconds(self) -> float:
        """How long a need must stay lower before the number follows it down."""
        if self.stabilization_seconds is not None:
            return self.stabilization_seconds
        return max(self.cold_start_seconds / 3, 2 * self.interval_seconds)

    @cached_property
    def silence_seconds(self) -> float:
        """The gap after which the recent past is unknown."""
        return self.windows.horizon.crest_seconds

    @cached_property
    def steady_seconds(self) -> float:
        """How long needs must have stayed alike for their largest to count as the need."""
        return _STEADY_LEADS * self.lead_seconds

    @cached_property
    def late_allowance(self) -> float:
        """The share of requests for which one role's headroom may turn out too small."""
        return _LATE_SHARES * (1 - self.sla.attainment)

    @cached_property
    def windows(self) -> Windows:
        """How far the forecast looks, and who makes it."""
        return Windows(
            horizon=Horizon.of(
                lead_seconds=self.lead_seconds, interval_seconds=self.interval_seconds
            ),
            among=MEMBERS if self.forecaster is Forecaster.ENSEMBLE else (Member.LEVEL,),
            burst_seconds=_STEADY_LEADS * self.lead_seconds,
            memory_seconds=7200.0,
            warm_up_seconds=max(3 * self.lead_seconds, 50 * self.interval_seconds),
            prior_seconds=1200.0,
        )

    @cached_property
    def history_seconds(self) -> float:
        """How much must have been seen before anything shrinks."""
        return max(self.lead_seconds, self.hold_seconds)

    @cached_property
    def oldest_seconds(self) -> float:
        """The age from which figures count as unknown."""
        if self.max_age_seconds is not None:
            return self.max_age_seconds
        return 3 * self.interval_seconds
