"""The listener: starts, counts its connections, and drains them at the end."""

import asyncio

from runtime.http.connection import Connection, Handler, Site
from runtime.http.limits import HttpLimits
from runtime.http.message import Render, plain_refusal

_BACKLOG = 2048


class HttpServer:
    """An HTTP/1.1 server for one handler."""

    def __init__(
        self,
        handler: Handler,
        *,
        limits: HttpLimits | None = None,
        render: Render = plain_refusal,
    ) -> None:
        self._site = Site(handler=handler, limits=limits or HttpLimits(), render=render)
        self._server: asyncio.Server | None = None
        self.port = 0
        """The port it listens on, once started."""

    @property
    def connections(self) -> int:
        """Return how many clients are connected."""
        return len(self._site.connections)

    async def start(self, host: str, port: int = 0) -> None:
        """Listen; port 0 takes a free one. Raises OSError when the address cannot be had."""
        loop = asyncio.get_running_loop()
        self._server = await loop.create_server(
            lambda: Connection(self._site), host, port, backlog=_BACKLOG
        )
        self.port = self._server.sockets[0].getsockname()[1]

    async def close(self, *, timeout: float = 0.0) -> None:
        """Accept nothing new, finish requests for up to *timeout* seconds, drop the rest."""
        if self._server is None:
            return
        self._server.close()
        for connection in tuple(self._site.connections):
            connection.drain()
        if not await self._emptied(timeout):
            for connection in tuple(self._site.connections):
                connection.abort()
            await self._emptied(None)
        await self._server.wait_closed()

    async def _emptied(self, timeout: float | None) -> bool:
        if not self._site.connections:
            return True
        try:
            await asyncio.wait_for(self._site.empty.wait(), timeout)
        except TimeoutError:
            return False
        return True
