"""The Knative pod autoscaler on concurrency, one for each role: a stable and a panic window."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from math import ceil, floor

from planner.core.observation import Observation, Traffic
from planner.core.policy import PolicyConfig
from planner.core.profile import Profile
from planner.core.role import Role
from planner.peers.held import LoadTests, in_flight
from planner.peers.pace import PacedPolicy
from planner.peers.peer import Peer
from planner.peers.rounding import whole

# Share of what a replica holds that is its target.
_UTILIZATION = 0.7


@dataclass(frozen=True, slots=True, kw_only=True)
class KpaSettings:
    """The settings of Knative's config-autoscaler; scale to zero is off."""

    target: float
    """Requests in flight for each replica, utilization taken off."""
    stable_seconds: float = 60.0
    panic_seconds: float = 6.0
    panic_threshold: float = 2.0
    """Times the ready replicas that the panic window has to ask for."""
    up_rate: float = 1000.0
    """The most that the ready replicas are multiplied by at once."""
    down_rate: float = 2.0
    """The most that they are divided by at once."""


@dataclass(frozen=True, slots=True, kw_only=True)
class KpaState:
    """Concurrency as (at, requests) over the stable window, and the panic if there is one."""

    samples: tuple[tuple[float, float], ...] = ()
    panic_at: float | None = None
    """When the panic threshold was last exceeded; None outside of a panic."""
    panic_most: int = 0
    """Replicas below which a panic does not go."""
    has_begun: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class KpaInputs:
    """The concurrency of one role, summed over its ready replicas."""

    at: float
    in_flight: float
    ready: int


def decide_kpa(settings: KpaSettings, state: KpaState, inputs: KpaInputs) -> tuple[KpaState, int]:
    """Return the replicas by the stable window, and by the panic window too while in a panic."""
    at, ready = inputs.at, max(1, inputs.ready)
    recent = (s for s in state.samples if s[0] > at - settings.stable_seconds)
    samples = (*recent, (at, inputs.in_flight))
    stable = whole(_mean(samples) / settings.target)
    burst = [s for s in samples if s[0] > at - settings.panic_seconds]
    panicking = whole(_mean(burst) / settings.target)
    is_over = panicking >= settings.panic_threshold * ready
    panic_at, most = _panic(settings, state, inputs, is_over=is_over)
    wanted = _rate_limited(settings, stable, ready)
    if panic_at is not None:
        most = wanted = max(most, wanted, _rate_limited(settings, panicking, ready))
    state = KpaState(samples=samples, panic_at=panic_at, panic_most=most, has_begun=True)
    return state, max(1, wanted)


def _panic(
    settings: KpaSettings, state: KpaState, inputs: KpaInputs, *, is_over: bool
) -> tuple[float | None, int]:
    """Return when the panic was last renewed, None without one, and the replicas it keeps.

    It begins with more than one ready replica, for what was needed before is not known, and ends a
    stable window after the threshold was last exceeded.
    """
    panic_at, most = state.panic_at, state.panic_most
    if not state.has_begun and inputs.ready > 1:
        panic_at, most = inputs.at, inputs.ready
    if is_over:
        return inputs.at, most
    if panic_at is not None and panic_at + settings.stable_seconds < inputs.at:
        return None, 0
    return panic_at, most


def _rate_limited(settings: KpaSettings, wanted: int, ready: int) -> int:
    least = floor(ready / settings.down_rate)
    return min(max(wanted, least), ceil(settings.up_rate * ready))


def _mean(samples: Sequence[tuple[float, float]]) -> float:
    return sum(value for _, value in samples) / len(samples)


class KpaPolicy(PacedPolicy):
    """One KPA for each role on its requests in flight, asked at every observation.

    Concurrency is that of the role: of prefill its queue and what is in work, of decode what runs
    and waits. Observations are further apart than Knative's 2 s, so a panic window of 6 s holds the
    last one or two.
    """

    def __init__(self, config: PolicyConfig, profile: Profile, *, headroom: float = 1.0) -> None:
        super().__init__(config, every_seconds=0.0)
        self._tests = LoadTests(config, profile, headroom=headroom)
        self._states = dict.fromkeys(config.roles, KpaState())

    def _decide(self, observation: Observation, traffic: Traffic) -> Mapping[Role, int]:
        self._tests.watch(traffic)
        wanted = {role: self._decide_role(role, observation) for role in self._states}
        known = {role: count for role, count in wanted.items() if count is not None}
        return {**self._wanted, **known}

    def _decide_role(self, role: Role, observation: Observation) -> int | None:
        """Return what the rule asks for; None without data, which is no decision."""
        load = in_flight(observation.load.get(role))
        if load is None:
            return None
        self._states[role], wanted = decide_kpa(
            KpaSettings(target=_UTILIZATION * self._tests.held(role)),
            self._states[role],
            KpaInputs(at=observation.at, in_flight=load, ready=observation.replicas(role).ready),
        )
        return wanted


KPA = Peer(
    name="kpa",
    title="Knative pod autoscaler on concurrency",
    source="Knative Serving documentation, Autoscaling, and the autoscaler's Scale function "
    "(98e5ef9)",
    defaults="stable window 60 s, panic window 6 s, panic threshold 200 %, target 70 % of the mean "
    "requests in flight of a replica that keeps the SLA by the profile, up to 1000-fold, down to "
    "half at once, never to zero",
    make=KpaPolicy,
)
