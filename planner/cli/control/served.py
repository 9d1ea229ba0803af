"""The fleet of servers that were not started here: seen through their pages, moved by nobody."""

from collections.abc import Mapping

from planner.core.observation import Replicas
from planner.core.role import Role
from planner.errors import ScaleRejected
from planner.ports import ScaleResult
from planner.sources.servers import ServersSource


class ServedFleet:
    """The servers that *source* reads. One that starts is not seen before it answers."""

    def __init__(self, source: ServersSource) -> None:
        self._source = source

    async def fleet(self) -> Mapping[Role, Replicas]:
        """Return the servers that answer, by role; raises MetricsUnavailable when none does."""
        return await self._source.replicas()

    async def scale(self, desired: Mapping[Role, int]) -> ScaleResult:
        """Raise ScaleRejected: nothing here can start or stop these servers."""
        listed = ", ".join(f"{role} {count}" for role, count in desired.items())
        raise ScaleRejected(
            f"{listed}: planner did not start these servers; nothing changed",
            hint="planner run --observe",
        )

    async def close(self) -> None:
        """Do nothing: the source is its owner's."""
