"""How a rule is run: at its own pace, holding in between, within bounds and budget."""

from abc import ABC, abstractmethod
from collections.abc import Mapping

from planner.core.budget import fitted, started
from planner.core.observation import Observation, Traffic
from planner.core.policy import PolicyConfig
from planner.core.role import Role
from planner.peers.rounding import is_over
from planner.peers.traffic import NOTHING, added


class PacedPolicy(ABC):
    """Asks a rule every so often, with the traffic since it was asked before.

    Between two askings, and while traffic is unknown or stale, what it last said stands; before it
    has said anything, the fleet stays as it is.
    """

    def __init__(self, config: PolicyConfig, *, every_seconds: float) -> None:
        self._config = config
        self._every_seconds = every_seconds
        self._asked_at: float | None = None
        self._traffic = NOTHING
        self._wanted: Mapping[Role, int] = {}

    def __call__(self, observation: Observation) -> Mapping[Role, int]:
        """Return the replicas that each role should have."""
        if self._asked_at is None:
            self._asked_at = observation.at
        traffic = self._known(observation)
        if traffic is not None:
            self._traffic = added(self._traffic, traffic)
            self._ask_when_due(observation)
        return allowed(self._config, self._standing(observation), observation)

    def _ask_when_due(self, observation: Observation) -> None:
        assert self._asked_at is not None
        if is_over(observation.at - self._asked_at, self._every_seconds):
            self._wanted = self._decide(observation, self._traffic)
            self._asked_at, self._traffic = observation.at, NOTHING

    def _known(self, observation: Observation) -> Traffic | None:
        traffic = observation.traffic
        is_stale = observation.age_seconds > self._config.oldest_seconds
        return None if is_stale or traffic is None or traffic.seconds <= 0 else traffic

    def _standing(self, observation: Observation) -> dict[Role, int]:
        """Return what was last asked for, the present count where nothing was."""
        return {
            role: self._wanted.get(role, observation.replicas(role).current)
            for role in self._config.roles
        }

    @abstractmethod
    def _decide(self, observation: Observation, traffic: Traffic) -> Mapping[Role, int]:
        """Return what the rule asks for, having seen *traffic* since it was asked before.

        A role that is left out stays as it is.
        """


def allowed(
    config: PolicyConfig, wanted: Mapping[Role, int], observation: Observation
) -> dict[Role, int]:
    """Return *wanted* inside *config*'s bounds and, at every instant, its GPU budget."""
    counts = {role: config.bounds[role].clamp(count) for role, count in wanted.items()}
    if config.max_gpus is None:
        return counts
    width = {role: config.gpus_per_replica(role) for role in counts}
    counts = fitted(
        counts,
        floors={role: config.bounds[role].minimum for role in counts},
        gpus_per_replica=width,
        max_gpus=config.max_gpus,
    )
    fleet = {role: observation.replicas(role) for role in counts}
    return started(counts, fleet, gpus_per_replica=width, max_gpus=config.max_gpus)
