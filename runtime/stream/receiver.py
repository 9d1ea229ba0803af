"""A connection on which one worker process answers: many streams, cut straight to their sinks."""

import asyncio
import logging
from typing import cast

from runtime.errors import MalformedFrame, RuntimeFault, StreamBroken
from runtime.frames import FrameKind, FrameLimits, FrameParser, decode_fault, encode_frame
from runtime.stream.inbound import Desk, InboundStream
from runtime.stream.sockets import watch_peer

log = logging.getLogger(__name__)

_DATA = int(FrameKind.DATA)


class InboundConnection(asyncio.Protocol):
    """One worker process' connection: its frames go straight to the sinks of their streams."""

    def __init__(self, desk: Desk, limits: FrameLimits) -> None:
        self.lost = asyncio.Event()
        self._desk = desk
        self._streams: dict[int, InboundStream] = {}
        self._expected: set[InboundStream] = set()
        self._parser = FrameParser(self._take, limits)
        self._transport: asyncio.Transport | None = None
        self._peer: object = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Take the connection over."""
        self._transport = cast("asyncio.Transport", transport)
        self._peer = transport.get_extra_info("peername")
        watch_peer(self._transport)
        self._desk.connected(self)

    def data_received(self, data: bytes) -> None:
        """Hand the frames in *data* to their sinks; malformed ones end this connection."""
        try:
            self._parser.feed(data)
        except MalformedFrame as error:
            log.warning("response connection closed peer=%s reason=%s", self._peer, error)
            self.abort()

    def connection_lost(self, exc: Exception | None) -> None:
        """Break the streams that have not ended."""
        self._transport = None
        self.lost.set()
        self._desk.disconnected(self)
        reason = f": {exc}" if exc else ""
        fault = StreamBroken(f"the connection of {self._peer} ended{reason}")
        streams, self._streams = self._streams, {}
        for stream in streams.values():
            stream.lost(fault)
        for stream in self._expected:
            stream.line_lost(fault)

    def send(self, kind: FrameKind, stream_id: int) -> None:
        """Send a frame that has only a kind."""
        if self._transport is not None:
            self._transport.write(encode_frame(kind, stream_id))

    def expect(self, stream: InboundStream) -> None:
        """Tell *stream* if this connection ends before a worker has accepted it."""
        self._expected.add(stream)

    def expect_no_more(self, stream: InboundStream) -> None:
        """Let *stream* be: it is accepted or over."""
        self._expected.discard(stream)

    def forget(self, stream: InboundStream) -> None:
        """Let data of *stream* that is still on its way be ignored."""
        self._streams.pop(stream.id, None)

    def abort(self) -> None:
        """End the connection now."""
        if self._transport is not None:
            self._transport.abort()

    def _take(self, kind: int, stream_id: int, header: bytes, body: bytes) -> None:
        if kind != _DATA:
            self._control(kind, stream_id, header)
            return
        stream = self._streams.get(stream_id)
        if stream is None:  # killed; the worker has not noticed yet
            return
        try:
            stream.on_data(body)
        except RuntimeFault as fault:
            stream.kill(fault)
        except Exception:
            log.exception("sink failed stream=%d", stream_id)
            stream.kill(RuntimeFault("the receiver of the response failed"))

    def _control(self, kind: int, stream_id: int, header: bytes) -> None:
        if kind == FrameKind.PROLOGUE:
            self._prologue(stream_id, decode_fault(header))
        elif kind == FrameKind.END:
            stream = self._streams.get(stream_id)
            if stream is not None:
                stream.end(decode_fault(header))
        else:
            raise MalformedFrame(f"frame kind {kind} has no place in a response")

    def _prologue(self, stream_id: int, fault: RuntimeFault | None) -> None:
        stream = self._desk.claim(stream_id)
        if stream is None:  # given up before the worker answered
            self.send(FrameKind.KILL, stream_id)
        elif fault is not None:
            stream.end(fault)
        else:
            self._streams[stream_id] = stream
            stream.attach(self)
