"""What one process shares among all that it serves and calls: store, plane, response streams."""

import asyncio
from contextlib import AsyncExitStack
from typing import Protocol

from runtime.config import RuntimeConfig
from runtime.ports import RequestPlane, Store
from runtime.stream.pool import ConnectionPool
from runtime.stream.server import StreamServer


class Closable(Protocol):
    """Something that ends before the connections do."""

    async def close(self) -> None:
        """End it."""
        ...


class Connections:
    """The outside of one process, and who uses it."""

    def __init__(self, config: RuntimeConfig, *, store: Store, plane: RequestPlane) -> None:
        self.config = config
        self.store = store
        self.plane = plane
        self.responses = ConnectionPool(
            limits=config.limits, connect_timeout=config.connect_timeout
        )
        self._streams: StreamServer | None = None
        self._starting = asyncio.Lock()
        self._users: dict[Closable, None] = {}  # an ordered set: the newest ends first

    async def streams(self) -> StreamServer:
        """Return the listener of this process for responses, started when first asked for."""
        async with self._starting:
            if self._streams is None:
                config = self.config
                self._streams = await StreamServer.start(
                    config.host, bind=config.bind, limits=config.limits
                )
        return self._streams

    def add(self, user: Closable) -> None:
        """Close *user* before the connections."""
        self._users[user] = None

    def remove(self, user: Closable) -> None:
        """Forget *user*, who has closed."""
        self._users.pop(user, None)

    def users(self) -> tuple[Closable, ...]:
        """Return who uses the connections, the oldest first."""
        return tuple(self._users)

    async def close(self) -> None:
        """Close the users, then all connections; what is unsent is sent first."""
        async with AsyncExitStack() as stack:  # one that fails does not keep the others open
            stack.push_async_callback(self.store.close)
            stack.push_async_callback(self.plane.close)
            stack.push_async_callback(self.responses.close)
            if self._streams is not None:
                stack.push_async_callback(self._streams.close)
            for user in self.users():
                stack.push_async_callback(user.close)
