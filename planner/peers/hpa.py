"""The Kubernetes HorizontalPodAutoscaler on requests in flight, one for each role."""

from collections.abc import Mapping
from dataclasses import dataclass
from math import ceil

from planner.core.observation import Observation, Traffic
from planner.core.policy import PolicyConfig
from planner.core.profile import Profile
from planner.core.role import Role
from planner.peers.held import LoadTests, in_flight
from planner.peers.pace import PacedPolicy
from planner.peers.peer import Peer
from planner.peers.rounding import ROUNDING, whole

_SYNC_SECONDS = 15.0


@dataclass(frozen=True, slots=True, kw_only=True)
class HpaSettings:
    """The fields of an HPA; the defaults are those of Kubernetes."""

    target: float
    """Requests in flight for each replica (AverageValue)."""
    tolerance: float = 0.1
    up_factor: float = 2.0
    up_pods: int = 4
    """Most growth of one synchronization: the larger of both (100 % or 4 pods in 15 s)."""
    down_window_seconds: float = 300.0
    """The most replicas asked for in it are kept; shrinking is not limited beyond that."""


@dataclass(frozen=True, slots=True, kw_only=True)
class HpaState:
    """What was recommended within the window on the way down, as (at, replicas)."""

    recommended: tuple[tuple[float, int], ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class HpaInputs:
    """The metric of one role, summed over its replicas; None when there is none."""

    at: float
    in_flight: float | None
    ready: int
    unready: int = 0


def decide_hpa(settings: HpaSettings, state: HpaState, inputs: HpaInputs) -> tuple[HpaState, int]:
    """Return the replicas of one synchronization: by the metric, stabilized, in limited steps."""
    current = inputs.ready + inputs.unready
    wanted = _by_metric(settings, inputs)
    state, wanted = stabilized(
        state, wanted, current=current, at=inputs.at, window_seconds=settings.down_window_seconds
    )
    most = max(ceil(settings.up_factor * current), current + settings.up_pods)
    return state, max(1, min(wanted, most))


def stabilized(
    state: HpaState, wanted: int, *, current: int, at: float, window_seconds: float
) -> tuple[HpaState, int]:
    """Return the state with *wanted* in it, and the most wanted in the window if that shrinks.

    The window begins with the replicas that there were, so a restart does not shrink at once.
    """
    before = state.recommended or ((at, current),)
    kept = tuple(entry for entry in before if entry[0] > at - window_seconds)
    recommended = (*kept, (at, wanted))
    if wanted < current:
        wanted = min(current, max(replicas for _, replicas in recommended))
    return HpaState(recommended=recommended), wanted


def _by_metric(settings: HpaSettings, inputs: HpaInputs) -> int:
    """Return the replicas at which the metric meets its target; all that there are within 10 %.

    Replicas that are not ready are left out of the mean; on the way up they count as having no
    requests, and a mean that then no longer exceeds the target holds.
    """
    current, metric = inputs.ready + inputs.unready, inputs.in_flight
    if metric is None or not inputs.ready:
        return current
    ratio = metric / (settings.target * inputs.ready)
    if inputs.unready and ratio > 1:
        ratio = metric / (settings.target * current)
        if ratio < 1:
            return current
    if abs(1 - ratio) <= settings.tolerance + ROUNDING:
        return current
    return whole(metric / settings.target)


class HpaPolicy(PacedPolicy):
    """One HPA for each role, on its requests in flight, every 15 s.

    The metric is what the engines say at that moment, of prefill the queue and what is in work, of
    decode what runs and waits; a mean over the last 15 or 60 s keeps fewer requests in time here.
    Every ready replica counts as having the mean.
    """

    def __init__(self, config: PolicyConfig, profile: Profile, *, headroom: float = 1.0) -> None:
        super().__init__(config, every_seconds=_SYNC_SECONDS)
        self._tests = LoadTests(config, profile, headroom=headroom)
        self._states = dict.fromkeys(config.roles, HpaState())

    def _decide(self, observation: Observation, traffic: Traffic) -> Mapping[Role, int]:
        self._tests.watch(traffic)
        return {role: self._decide_role(role, observation) for role in self._states}

    def _decide_role(self, role: Role, observation: Observation) -> int:
        replicas = observation.replicas(role)
        self._states[role], wanted = decide_hpa(
            HpaSettings(target=self._tests.held(role)),
            self._states[role],
            HpaInputs(
                at=observation.at,
                in_flight=in_flight(observation.load.get(role)),
                ready=replicas.ready,
                unready=replicas.starting,
            ),
        )
        return wanted


HPA = Peer(
    name="hpa",
    title="Kubernetes HPA on requests in flight",
    source="Kubernetes documentation, Horizontal Pod Autoscaling (autoscaling/v2), and the "
    "controller's replica calculator",
    defaults="every 15 s, tolerance 10 %, up by the larger of 100 % and 4 pods at once, down after "
    "300 s; target: the mean requests in flight of a replica that keeps the SLA by the profile",
    make=HpaPolicy,
)
