"""The one frame that everything between two processes is made of: prefix, header, body.

A request is one frame on the request plane; prologue, data, end, stop and kill frames share the
response connections. docs/wire-protocol.md says the same in prose.
"""

import struct
from dataclasses import dataclass
from enum import IntEnum

import msgspec

MAGIC = 0x504C31  # "PL1": the last character is the version
_PREFIX = struct.Struct(">IIIQ")  # magic and kind, header length, body length, stream id
PREFIX_BYTES = _PREFIX.size


class FrameKind(IntEnum):
    """What a frame is."""

    REQUEST = 0
    PROLOGUE = 1
    DATA = 2
    END = 3
    STOP = 4
    KILL = 5


_KINDS = frozenset(int(kind) for kind in FrameKind)


@dataclass(frozen=True, slots=True, kw_only=True)
class FrameLimits:
    """The longest header and body, in bytes, that are read from a peer."""

    header: int = 64 * 1024
    body: int = 64 * 1024 * 1024


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


class Frame(msgspec.Struct, frozen=True):
    """One frame taken apart."""

    kind: int
    stream: int
    header: bytes
    body: bytes
