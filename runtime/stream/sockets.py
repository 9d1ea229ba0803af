"""Addresses as they travel in a request, and how a response connection notices a dead peer."""

import asyncio
import socket

from runtime.errors import MalformedFrame

# A peer that dies closes its connections. One whose host or network dies does not: it is given
# up after 4 + 3 * 2 = 10 s of silence.
_KEEPALIVE = {"TCP_KEEPIDLE": 4, "TCP_KEEPINTVL": 2, "TCP_KEEPCNT": 3, "TCP_USER_TIMEOUT": 10_000}


def format_address(host: str, port: int) -> str:
    """Return ``host:port``, with brackets around an IPv6 host."""
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"


def parse_address(address: str) -> tuple[str, int]:
    """Return host and port of *address*. Raises MalformedFrame."""
    host, _, port = address.rpartition(":")
    if not host or not port.isdecimal() or not 0 < int(port) < 65536:
        raise MalformedFrame(f"reply address {address[:80]!r} is not host:port")
    return host.removeprefix("[").removesuffix("]"), int(port)


def watch_peer(transport: asyncio.Transport) -> None:
    """Let the kernel end *transport* when its peer is silently gone."""
    connection: socket.socket | None = transport.get_extra_info("socket")
    if connection is None:
        return
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
    for name, value in _KEEPALIVE.items():
        if hasattr(socket, name):  # which of them exist depends on the platform
            connection.setsockopt(socket.IPPROTO_TCP, getattr(socket, name), value)
