"""A fleet that can be seen in discovery and moved by nobody here."""

from collections import Counter
from collections.abc import Mapping

from planner.core.observation import Replicas
from planner.core.role import Role
from planner.errors import ScaleRejected
from planner.ports import InstanceState, Registry, ScaleResult


class RegisteredFleet:
    """The workers in *registry*; for planning on a deployment that something else starts.

    Replicas that start are not seen before they are registered.
    """

    def __init__(self, registry: Registry) -> None:
        self._registry = registry

    async def fleet(self) -> Mapping[Role, Replicas]:
        """Return the registered replicas by role; raises MetricsUnavailable without discovery."""
        seen = Counter((i.role, i.state) for i in await self._registry.instances())
        present = {role for role, _ in seen}
        return {role: _replicas(seen, role) for role in Role if role in present}

    async def scale(self, desired: Mapping[Role, int]) -> ScaleResult:
        """Raise ScaleRejected: nothing here can start or stop these replicas."""
        raise ScaleRejected(
            f"{_listed(desired)}: this deployment was not started here; nothing changed",
            hint="planner run --observe",
        )

    async def close(self) -> None:
        """Do nothing: the registry is its owner's."""


def _replicas(seen: Mapping[tuple[Role, InstanceState], int], role: Role) -> Replicas:
    return Replicas(
        ready=seen.get((role, InstanceState.READY), 0),
        draining=seen.get((role, InstanceState.DRAINING), 0),
    )


def _listed(desired: Mapping[Role, int]) -> str:
    return ", ".join(f"{role} {count}" for role, count in desired.items())
