"""The one listener of a client process: workers dial it and answer all its requests there."""

import asyncio
import secrets
from collections.abc import Callable
from functools import partial
from typing import Self

from runtime.errors import Cancelled, RuntimeFault
from runtime.frames import DEFAULT_LIMITS, MAX_STREAM_ID, FrameLimits
from runtime.stream.inbound import InboundStream, Sink
from runtime.stream.receiver import InboundConnection
from runtime.stream.sockets import format_address


class StreamServer:
    """Streams that wait for a worker, by id, and the connections on which the others run."""

    def __init__(self) -> None:
        self._address = ""
        self._server: asyncio.Server | None = None
        self._waiting: dict[int, InboundStream] = {}
        self._reattaching: dict[int, InboundStream] = {}
        self._connections: set[InboundConnection] = set()
        # Random, so that an answer to an earlier process on this port finds no stream here.
        self._next_id = secrets.randbits(63)

    @classmethod
    async def start(
        cls, host: str, *, bind: str | None = None, limits: FrameLimits = DEFAULT_LIMITS
    ) -> Self:
        """Listen on *bind* (*host* if None) and be reachable as *host*."""
        made = cls()
        made._server = await asyncio.get_running_loop().create_server(
            partial(InboundConnection, made, limits), bind or host, 0, backlog=1024
        )
        made._address = format_address(host, made._server.sockets[0].getsockname()[1])
        return made

    @property
    def address(self) -> str:
        """Return the ``host:port`` that workers dial."""
        return self._address

    def expect(
        self,
        sink: Sink,
        *,
        opened: Callable[[RuntimeFault | None], None] | None = None,
        ended: Callable[[], None] | None = None,
        reattach: bool = False,
    ) -> InboundStream:
        """Return a new stream; tell a worker its id and this server's address to be answered.

        The callbacks and *reattach* are those of `InboundStream`.
        """
        self._next_id = (self._next_id + 1) & MAX_STREAM_ID
        stream = InboundStream(
            self._next_id, sink, desk=self, opened=opened, ended=ended, reattach=reattach
        )
        self._waiting[stream.id] = stream
        if reattach:
            self._reattaching[stream.id] = stream
        return stream

    def claim(self, stream_id: int) -> InboundStream | None:
        """Return the stream that *stream_id* names if a worker may answer it from here on."""
        stream = self._waiting.pop(stream_id, None)
        if stream is None and (stream := self._reattaching.get(stream_id)) is not None:
            stream.detach()
        return stream

    def put_back(self, stream: InboundStream) -> None:
        """Let *stream* wait for another worker."""
        self._waiting[stream.id] = stream

    def release(self, stream: InboundStream) -> None:
        """Forget *stream*: it is over."""
        self._waiting.pop(stream.id, None)
        self._reattaching.pop(stream.id, None)

    def connected(self, connection: InboundConnection) -> None:
        """Remember *connection*."""
        self._connections.add(connection)

    def disconnected(self, connection: InboundConnection) -> None:
        """Forget *connection*."""
        self._connections.discard(connection)

    async def close(self) -> None:
        """Stop listening, end every connection, break what is still awaited."""
        assert self._server is not None
        self._server.close()
        connections = tuple(self._connections)
        for connection in connections:
            connection.abort()
        await asyncio.gather(*(connection.lost.wait() for connection in connections))
        for stream in (*self._waiting.values(), *self._reattaching.values()):
            stream.end(Cancelled("the client is closing"))
        await self._server.wait_closed()
