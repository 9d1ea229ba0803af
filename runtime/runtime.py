"""One process' part in a deployment: its store, its request plane and its response streams."""

import asyncio
from types import TracebackType
from typing import Self

from runtime.component import Endpoint, Namespace
from runtime.config import RuntimeConfig
from runtime.connections import Connections
from runtime.discovery.open import open_store
from runtime.messaging.open import open_plane
from runtime.ports import RequestPlane, Store
from runtime.serving import ServedEndpoint
from runtime.stream.pool import ConnectionPool
from runtime.stream.server import StreamServer


class DistributedRuntime:
    """Everything that a process needs to serve endpoints and to call them; one a process."""

    def __init__(self, connections: Connections) -> None:
        self._connections = connections

    @classmethod
    async def connect(
        cls,
        config: RuntimeConfig | None = None,
        *,
        store: Store | None = None,
        plane: RequestPlane | None = None,
    ) -> Self:
        """Open what *config* names; *store* and *plane* are taken instead, and owned, if given.

        Raises StoreUnavailable or MessagingUnavailable when nothing answers there.
        """
        config = config or RuntimeConfig()
        store = store or await open_store(config.store_url, ttl=config.lease_ttl)
        try:
            plane = plane or await open_plane(config.plane_url)
        except BaseException:
            await store.close()
            raise
        return cls(Connections(config, store=store, plane=plane))

    @property
    def config(self) -> RuntimeConfig:
        """Return what this runtime was connected with."""
        return self._connections.config

    @property
    def store(self) -> Store:
        """Return the discovery store."""
        return self._connections.store

    @property
    def plane(self) -> RequestPlane:
        """Return the request plane."""
        return self._connections.plane

    @property
    def responses(self) -> ConnectionPool:
        """Return what opens streams to clients: for answers to work that came by a queue."""
        return self._connections.responses

    async def streams(self) -> StreamServer:
        """Return the listener for responses: for work that goes out by a queue."""
        return await self._connections.streams()

    def namespace(self, name: str) -> Namespace:
        """Return the namespace *name*. Raises InvalidRequest for a name that cannot be one."""
        return Namespace(self._connections, name)

    def endpoint(self, component: str, endpoint: str) -> Endpoint:
        """Return an endpoint in this runtime's own namespace."""
        return self.namespace(self.config.namespace).component(component).endpoint(endpoint)

    async def drain(self, timeout: float) -> bool:
        """Drain all that is served here at once; returns whether everything finished."""
        served = [user for user in self._connections.users() if isinstance(user, ServedEndpoint)]
        return all(await asyncio.gather(*(one.drain(timeout) for one in served)))

    async def close(self) -> None:
        """Kill what runs, deregister, end open calls, disconnect."""
        await self._connections.close()

    async def __aenter__(self) -> Self:
        """Return itself."""
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        """Close."""
        await self.close()
