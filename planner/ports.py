"""What the control loop needs from the outside world; connectors and sources implement these.

Each port has a fake beside its implementations that passes the same contract suite.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Protocol

from planner.core.observation import Observation, Replicas
from planner.core.role import Role


class InstanceState(StrEnum):
    """Where a replica is in its life, as discovery knows it."""

    READY = "ready"
    SLEEPING = "sleeping"
    """Loaded, but its memory is given back: it serves nothing until it is woken."""
    DRAINING = "draining"


@dataclass(frozen=True, slots=True, kw_only=True)
class Instance:
    """One registered replica. *name* is the supervisor's name for it, such as ``decode-2``."""

    name: str
    role: Role
    state: InstanceState
    metrics_url: str | None = None
    in_flight: int | None = None
    """Requests it serves right now, as far as anyone knows."""


class Registry(Protocol):
    """Who is registered: the view of discovery that connectors and sources are given."""

    async def instances(self) -> Sequence[Instance]:
        """Return every registered worker; raises MetricsUnavailable when discovery is away."""
        ...

    async def frontends(self) -> Sequence[str]:
        """Return the base URLs of the frontends, such as ``http://127.0.0.1:8080``."""
        ...


class MetricsSource(Protocol):
    """Where observations come from."""

    async def observe(self, fleet: Mapping[Role, Replicas], *, now: float) -> Observation:
        """Return what is known *now* of the deployment whose replicas are *fleet*.

        Rates cover the time since the previous call. A part that cannot be read is None in the
        observation; raises MetricsUnavailable when nothing could be read.
        """
        ...

    async def close(self) -> None:
        """Release connections."""
        ...


class Outcome(StrEnum):
    """What became of a call to `Connector.scale` that did not raise."""

    APPLIED = "applied"
    UNCHANGED = "unchanged"
    OBSERVED = "observed"
    """Recorded by a connector that writes nothing."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ScaleResult:
    """What a scale call did: *started* and *draining* name the replicas it touched."""

    outcome: Outcome
    started: tuple[str, ...] = ()
    draining: tuple[str, ...] = ()


class Connector(Protocol):
    """Moves replicas. Implementations: circus, observe, the in-memory fake (and Kubernetes)."""

    async def fleet(self) -> Mapping[Role, Replicas]:
        """Return the replicas that exist now, by role; raises MetricsUnavailable when unknown."""
        ...

    async def scale(self, desired: Mapping[Role, int]) -> ScaleResult:
        """Start or begin to drain replicas until each role in *desired* has that many.

        Roles left out are left alone. Returns once the change is under way, not when replicas are
        ready or gone. Raises ScaleRejected, and says what did change, when it could not do all of
        it; never returns normally for a write that was skipped.
        """
        ...

    async def close(self) -> None:
        """Release connections; replicas stay as they are."""
        ...
