"""The one frame that everything between two processes is made of: prefix, header, body.

A request is one frame on the request plane; prologue, data, end, stop and kill frames share the
response connections. docs/wire-protocol.md says the same for readers without this code.
"""

import struct
from collections.abc import Callable
from dataclasses import dataclass
from enum import IntEnum

import msgspec

from runtime.errors import InvalidRequest, MalformedFrame, RuntimeFault, from_wire

MAGIC = 0x504C31  # "PL1": the last character is the version
_PREFIX = struct.Struct(">IIIQ")  # magic and kind, header length, body length, stream id
PREFIX_BYTES = _PREFIX.size
_MAX_FAULT_TEXT = 4096  # characters: an end frame must fit into every peer's header limit
MAX_STREAM_ID = 2**64 - 1


class FrameKind(IntEnum):
    """What a frame is."""

    REQUEST = 0
    PROLOGUE = 1
    DATA = 2
    END = 3
    STOP = 4
    KILL = 5


@dataclass(frozen=True, slots=True, kw_only=True)
class FrameLimits:
    """The longest header and body, in bytes, that are read from a peer."""

    header: int = 64 * 1024
    body: int = 64 * 1024 * 1024


DEFAULT_LIMITS = FrameLimits()


class RequestHeader(msgspec.Struct, kw_only=True, frozen=True, omit_defaults=True):
    """What a worker needs besides the body of a request."""

    request_id: str
    reply: str
    """Where the client listens for the answer: ``host:port``."""
    remaining_ms: int | None = None
    """The time left when the request was sent; every hop counts down on its own clock."""


class FaultHeader(msgspec.Struct, kw_only=True, frozen=True):
    """Why a prologue or an end is not a good one."""

    code: str
    message: str


_encode = msgspec.msgpack.Encoder().encode
_decode_request = msgspec.msgpack.Decoder(RequestHeader).decode
_decode_fault = msgspec.msgpack.Decoder(FaultHeader).decode


def encode_frame(kind: int, stream: int, *, header: bytes = b"", body: bytes = b"") -> bytes:
    """Return one frame."""
    return b"".join((encode_prefix(kind, stream, len(header), len(body)), header, body))


def encode_prefix(kind: int, stream: int, header_bytes: int, body_bytes: int) -> bytes:
    """Return the prefix of a frame whose header and body are written after it."""
    return _PREFIX.pack(MAGIC << 8 | kind, header_bytes, body_bytes, stream)


def encode_request(stream: int, header: RequestHeader, body: bytes, limits: FrameLimits) -> bytes:
    """Return a request as one message. Raises InvalidRequest beyond *limits*."""
    encoded = _encode(header)
    if len(encoded) > limits.header or len(body) > limits.body:
        size = f"{len(encoded)} + {len(body)} bytes"
        raise InvalidRequest(f"a request of {size} is beyond {limits.header} + {limits.body}")
    return encode_frame(FrameKind.REQUEST, stream, header=encoded, body=body)


def decode_request(
    message: bytes, limits: FrameLimits = DEFAULT_LIMITS
) -> tuple[int, RequestHeader, bytes]:
    """Return stream id, header and body of a request. Raises MalformedFrame."""
    frames: list[tuple[int, int, bytes, bytes]] = []
    parser = FrameParser(lambda *frame: frames.append(frame), limits)
    parser.feed(message)
    if len(frames) != 1 or parser.pending or frames[0][0] != FrameKind.REQUEST:
        raise MalformedFrame(f"{len(message)} bytes are not exactly one request")
    _, stream, header, body = frames[0]
    try:
        return stream, _decode_request(header), body
    except msgspec.DecodeError as error:
        raise MalformedFrame(f"request header: {error}") from error


def encode_fault(fault: RuntimeFault | None) -> bytes:
    """Return the header of a prologue or an end: empty when all is well."""
    if fault is None:
        return b""
    # The text may quote what is not Unicode, such as a file name; the end must arrive all the same.
    text = fault.message[:_MAX_FAULT_TEXT].encode(errors="replace").decode()
    return _encode(FaultHeader(code=fault.code, message=text))


def decode_fault(header: bytes) -> RuntimeFault | None:
    """Return the fault in the header of a prologue or an end. Raises MalformedFrame."""
    if not header:
        return None
    try:
        found = _decode_fault(header)
    except msgspec.DecodeError as error:
        raise MalformedFrame(f"fault header: {error}") from error
    return from_wire(found.code, found.message)


class FrameParser:
    """Cuts a byte stream into frames and hands each over at once.

    *take* is called with kind, stream id, header and body. It runs once a token, so frames are
    four plain arguments and never objects.
    """

    def __init__(
        self,
        take: Callable[[int, int, bytes, bytes], None],
        limits: FrameLimits = DEFAULT_LIMITS,
    ) -> None:
        self._take = take
        self._limits = limits
        self._tail = bytearray()
        self._needed = 0

    @property
    def pending(self) -> int:
        """Return the bytes of a frame that has not come to its end."""
        return len(self._tail)

    def feed(self, data: bytes) -> None:
        """Take the next *data*, cut anywhere.

        Raises MalformedFrame for bytes that are no frame or exceed the limits, and whatever *take*
        raises; the parser is of no use after either.
        """
        if self._tail:
            self._tail += data
            if len(self._tail) < self._needed:
                return
            data = bytes(self._tail)
            self._tail.clear()
        consumed = self._cut(data)
        if consumed < len(data):
            self._tail += memoryview(data)[consumed:]

    def _cut(self, data: bytes) -> int:
        """Hand over all complete frames; returns the bytes they took."""
        take, unpack, limits = self._take, _PREFIX.unpack_from, self._limits
        at, end = 0, len(data)
        while end - at >= PREFIX_BYTES:
            word, header_bytes, body_bytes, stream = unpack(data, at)
            if word >> 8 != MAGIC or header_bytes > limits.header or body_bytes > limits.body:
                raise _malformed(word, header_bytes, body_bytes)
            header_at = at + PREFIX_BYTES
            body_at = header_at + header_bytes
            next_at = body_at + body_bytes
            if next_at > end:
                self._needed = next_at - at
                return at
            take(word & 0xFF, stream, data[header_at:body_at], data[body_at:next_at])
            at = next_at
        self._needed = PREFIX_BYTES
        return at


def _malformed(word: int, header_bytes: int, body_bytes: int) -> MalformedFrame:
    if word >> 8 != MAGIC:
        return MalformedFrame(f"a frame starts with {word >> 8:#08x}, expected {MAGIC:#08x}")
    return MalformedFrame(f"a frame of {header_bytes} + {body_bytes} bytes is beyond the limits")
