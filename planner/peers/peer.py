"""What a peer is: another autoscaler's rule, and from which document it was written."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Protocol

from planner.core.observation import Observation
from planner.core.policy import PolicyConfig
from planner.core.profile import Profile
from planner.core.role import Role


class PeerPolicy(Protocol):
    """A rule at work on one deployment; it remembers what it was shown."""

    def __call__(self, observation: Observation) -> Mapping[Role, int]:
        """Return the replicas that each role should have."""
        ...


class MakePolicy(Protocol):
    """Makes a policy for one deployment."""

    def __call__(
        self, config: PolicyConfig, profile: Profile, *, headroom: float = 1.0
    ) -> PeerPolicy:
        """Return a policy inside *config*'s bounds and GPU budget.

        *headroom* multiplies what the rule asks for, or divides its target: the one knob with
        which a rule trades GPU-hours for attainment. Raises ConfigError for what the rule does not
        serve.
        """
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Peer:
    """Another autoscaler's rule, to be compared with."""

    name: str
    title: str
    source: str
    """The document and version that its formulas were read from."""
    defaults: str
    """Its settings, in words."""
    make: MakePolicy
