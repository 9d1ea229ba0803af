"""A connection on which this worker process answers one client: many streams, few writes."""

import asyncio
import logging
from collections.abc import Callable
from typing import cast

from runtime.errors import MalformedFrame, StreamBroken
from runtime.frames import FrameKind, FrameLimits, FrameParser, encode_prefix
from runtime.stream.outbound import OutboundStream
from runtime.stream.sockets import watch_peer

log = logging.getLogger(__name__)

_COALESCE_BYTES = 64 * 1024
_CLOSE_SECONDS = 1.0


class OutboundConnection(asyncio.Protocol):
    """A connection to one client; the frames of one turn of the loop leave in one write."""

    def __init__(
        self,
        limits: FrameLimits,
        *,
        idle_seconds: float,
        on_lost: Callable[["OutboundConnection"], None],
    ) -> None:
        self.limits = limits
        self.is_congested = False
        self.lost = asyncio.Event()
        self._on_lost = on_lost
        self._loop = asyncio.get_running_loop()
        self._idle_seconds = idle_seconds
        self._idle_timer: asyncio.TimerHandle | None = None
        self._used = True
        self._streams: dict[int, OutboundStream] = {}
        self._parser = FrameParser(self._take, limits)
        self._unsent: list[bytes] = []
        self._unsent_bytes = 0
        self._is_paused = False
        self._writable = asyncio.Event()
        self._transport: asyncio.Transport | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Take the connection over."""
        self._transport = cast("asyncio.Transport", transport)
        watch_peer(self._transport)
        self._idle_timer = self._loop.call_later(self._idle_seconds, self._close_if_idle)

    def data_received(self, data: bytes) -> None:
        """Pass stop and kill on; malformed frames end this connection."""
        try:
            self._parser.feed(data)
        except MalformedFrame as error:
            peer = self._transport and self._transport.get_extra_info("peername")
            log.warning("response connection closed peer=%s reason=%s", peer, error)
            self.abort()

    def connection_lost(self, exc: Exception | None) -> None:  # noqa: ARG002 - gone is gone
        """Kill what runs for this client: nobody waits for it."""
        self._transport = None
        self.lost.set()
        self._on_lost(self)
        self._writable.set()
        if self._idle_timer is not None:
            self._idle_timer.cancel()
        streams, self._streams = self._streams, {}
        for stream in streams.values():
            stream.killed()

    def pause_writing(self) -> None:
        """Let senders wait: the client does not keep up."""
        self._is_paused = self.is_congested = True

    def resume_writing(self) -> None:
        """Let senders go on."""
        self._is_paused = False
        self.is_congested = False
        self._writable.set()

    @property
    def is_usable(self) -> bool:
        """Whether a new stream may start here."""
        return self._transport is not None and not self._transport.is_closing()

    def open(
        self, stream_id: int, *, on_stop: Callable[[], None], on_kill: Callable[[], None]
    ) -> OutboundStream:
        """Return a new stream.

        Raises StreamBroken when the client is gone, MalformedFrame for an id that is in use.
        """
        if not self.is_usable:
            raise StreamBroken("the client is gone")
        if stream_id in self._streams:
            raise MalformedFrame(f"stream {stream_id} is open already")
        self._used = True
        stream = OutboundStream(stream_id, self, on_stop=on_stop, on_kill=on_kill)
        self._streams[stream_id] = stream
        return stream

    def forget(self, stream: OutboundStream) -> None:
        """Let frames for *stream* that are still on their way be ignored."""
        self._streams.pop(stream.id, None)

    def write(self, kind: int, stream_id: int, header: bytes, body: bytes) -> None:
        """Send a frame at the end of this turn of the loop."""
        if not self._unsent:
            self._loop.call_soon(self.flush)
        self._unsent += (encode_prefix(kind, stream_id, len(header), len(body)), header, body)
        self._unsent_bytes += len(header) + len(body)
        if self._unsent_bytes > _COALESCE_BYTES:
            self.is_congested = True

    def flush(self) -> None:
        """Send what is unsent."""
        unsent, self._unsent, self._unsent_bytes = self._unsent, [], 0
        if self._transport is not None and unsent:
            self.is_congested = self._is_paused
            self._transport.write(b"".join(unsent))

    async def drain(self) -> None:
        """Return once the client keeps up; gives others a turn in any case."""
        self.flush()
        await asyncio.sleep(0)
        while self._is_paused and self._transport is not None:
            self._writable.clear()
            await self._writable.wait()

    async def close(self) -> None:
        """Send what is unsent and end the connection; a client that does not read is left."""
        self.flush()
        if self._transport is not None:
            self._transport.close()
        try:
            async with asyncio.timeout(_CLOSE_SECONDS):
                await self.lost.wait()
        except TimeoutError:
            self.abort()
            await self.lost.wait()

    def abort(self) -> None:
        """End the connection now."""
        if self._transport is not None:
            self._transport.abort()

    def _close_if_idle(self) -> None:
        if self._transport is None:
            return
        if self._streams or self._used:
            self._used = False
            self._idle_timer = self._loop.call_later(self._idle_seconds, self._close_if_idle)
        else:
            self._transport.close()

    def _take(self, kind: int, stream_id: int, header: bytes, body: bytes) -> None:  # noqa: ARG002 - stop and kill have neither
        stream = self._streams.get(stream_id)
        if kind == FrameKind.STOP:
            if stream is not None:
                stream.on_stop()
        elif kind == FrameKind.KILL:
            if stream is not None:
                self.forget(stream)
                stream.killed()
        else:
            raise MalformedFrame(f"frame kind {kind} has no place in what a client sends")
