"""The connections of a worker process to its clients, one each, dialled when first needed."""

import asyncio
from collections.abc import Callable
from functools import partial

from runtime.errors import StreamBroken
from runtime.frames import DEFAULT_LIMITS, FrameLimits
from runtime.stream.outbound import OutboundStream
from runtime.stream.sender import OutboundConnection
from runtime.stream.sockets import parse_address


def _nothing() -> None:
    """Ignore a signal."""


class ConnectionPool:
    """Opens response streams; all to one client share one connection."""

    def __init__(
        self,
        *,
        limits: FrameLimits = DEFAULT_LIMITS,
        connect_timeout: float = 2.0,
        idle_seconds: float = 60.0,
    ) -> None:
        self._limits = limits
        self._connect_timeout = connect_timeout
        self._idle_seconds = idle_seconds
        self._connections: dict[str, OutboundConnection] = {}
        self._dials: dict[str, asyncio.Task[OutboundConnection]] = {}

    async def open(
        self,
        address: str,
        stream_id: int,
        *,
        on_stop: Callable[[], None] = _nothing,
        on_kill: Callable[[], None] = _nothing,
    ) -> OutboundStream:
        """Return a stream to the client at *address* that waits for *stream_id*.

        The callbacks are called when the client asks for a graceful end, and when nobody waits any
        more. Raises StreamBroken when the client cannot be reached, MalformedFrame for an address
        that is none or an id that is in use.
        """
        connection = self._connections.get(address)
        if connection is None or not connection.is_usable:
            connection = await self._dialled(address)
        return connection.open(stream_id, on_stop=on_stop, on_kill=on_kill)

    async def close(self) -> None:
        """Send what is unsent, then end every connection."""
        for dial in self._dials.values():
            dial.cancel()
        await asyncio.gather(*self._dials.values(), return_exceptions=True)
        await asyncio.gather(*(known.close() for known in self._connections.values()))

    async def _dialled(self, address: str) -> OutboundConnection:
        dial = self._dials.get(address)
        if dial is None:
            dial = self._dials[address] = asyncio.create_task(self._dial(address))
            dial.add_done_callback(partial(self._dial_done, address))
        return await asyncio.shield(dial)  # one that gives up does not end it for the others

    async def _dial(self, address: str) -> OutboundConnection:
        host, port = parse_address(address)
        make = partial(
            OutboundConnection,
            self._limits,
            idle_seconds=self._idle_seconds,
            on_lost=partial(self._forget, address),
        )
        loop = asyncio.get_running_loop()
        try:
            async with asyncio.timeout(self._connect_timeout):
                _, connection = await loop.create_connection(make, host, port)
        except OSError as error:  # TimeoutError, which has no text, is one
            reason = str(error) or "timeout"
            raise StreamBroken(f"no connection to {address}: {reason}") from error
        if connection.is_usable:  # otherwise it was lost, and forgotten, before it was known
            self._connections[address] = connection
        return connection

    def _dial_done(self, address: str, dial: asyncio.Task[OutboundConnection]) -> None:
        del self._dials[address]
        if not dial.cancelled():
            dial.exception()  # seen, also when all who waited for it are gone

    def _forget(self, address: str, connection: OutboundConnection) -> None:
        if self._connections.get(address) is connection:
            del self._connections[address]
