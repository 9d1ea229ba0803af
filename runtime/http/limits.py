"""How much of a peer's bytes and time the HTTP server spends before it refuses."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class HttpLimits:
    """Limits of one server; sizes are bytes, times seconds."""

    head_bytes: int = 32 * 1024
    """Request line and headers together; beyond it 431."""
    headers: int = 100
    body_bytes: int = 16 * 1024 * 1024
    """Beyond it 413."""
    pipelined: int = 16
    """Requests read ahead of the one that is answered; beyond it the connection is not read."""
    head_timeout: float = 10.0
    body_timeout: float = 60.0
    idle_timeout: float = 75.0
    """How long a connection without a request stays open."""
    linger: float = 2.0
    """How long a refused peer may go on sending, so that it can read why."""
    write_buffer: int = 1024 * 1024
    """Bytes that wait for a slow client; a stream beyond it is cut."""
