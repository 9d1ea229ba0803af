"""Of several planners for one deployment, only the one that holds the lease scales it."""

import secrets
from collections.abc import Mapping

from planner.core.observation import Replicas
from planner.core.role import Role
from planner.errors import ScaleRejected
from planner.ports import Connector, ScaleResult
from runtime.errors import StoreUnavailable
from runtime.ports import Store


class LeaseholdingConnector:
    """*connector*, which scales only while this process holds a leased key of *namespace*.

    The key is taken at the first `scale` that finds it free, and is free again once its holder is
    gone: another planner then takes over by itself.
    """

    def __init__(self, connector: Connector, store: Store, namespace: str) -> None:
        self._connector = connector
        self._store = store
        self._key = f"planner/{namespace}/leader"
        self._token = secrets.token_hex(8).encode()

    async def fleet(self) -> Mapping[Role, Replicas]:
        """Return the fleet of the connector behind it."""
        return await self._connector.fleet()

    async def scale(self, desired: Mapping[Role, int]) -> ScaleResult:
        """Scale; raises ScaleRejected while another planner holds the lease."""
        if not await self.holds_lease():
            raise ScaleRejected(
                "another planner acts on this deployment; nothing changed",
                hint="stop one of them: planner status",
            )
        return await self._connector.scale(desired)

    async def holds_lease(self) -> bool:
        """Return whether this process may scale, taking the lease if nobody has it.

        Raises ScaleRejected while the store that keeps it is away.
        """
        try:
            if await self._store.create(self._key, self._token):
                return True
            return await self._store.get(self._key) == self._token
        except StoreUnavailable as error:
            raise ScaleRejected(f"{error}; nothing changed", hint="planner status") from error

    async def close(self) -> None:
        """Close the connector behind it; the lease goes with the store."""
        await self._connector.close()
