"""Requests and responses as the handlers see them."""

import time
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from email.utils import formatdate
from functools import lru_cache
from http import HTTPStatus
from typing import Any, Protocol

import msgspec

Header = tuple[str, str]


class HttpRefusal(Exception):
    """A request that is answered with *status* and *message* instead of a result."""

    def __init__(self, status: int, message: str, *, headers: Iterable[Header] = ()) -> None:
        super().__init__(message)
        self.status = status
        self.message = message
        self.headers = tuple(headers)


class StreamWriter(Protocol):
    """A response body that is written while it is produced."""

    @property
    def is_open(self) -> bool:
        """Whether the client still takes what is written."""
        ...

    def write(self, data: bytes) -> None:
        """Send *data* now; does nothing once the client is gone."""
        ...


class StreamOpener(Protocol):
    """The connection on which a request came."""

    def open_stream(self, content_type: str, headers: Iterable[Header] = ()) -> "StreamWriter":
        """Answer the request that is being handled with a stream."""
        ...


@dataclass(slots=True, kw_only=True)
class Request:
    """One request, complete with its body; header names are in lower case."""

    method: str
    path: str
    query: str
    headers: Mapping[str, str]
    body: bytes
    keep_alive: bool
    is_http_1_0: bool
    tail: str = ""
    """What a route's ``*`` stands for in the path."""
    connection: StreamOpener | None = field(default=None, repr=False)

    def open_stream(self, content_type: str, headers: Iterable[Header] = ()) -> StreamWriter:
        """Begin a 200 response that is written piece by piece; the handler returns it at the end.

        The status line leaves with the first piece, so a handler that fails before it has written
        is still answered with an error.
        """
        assert self.connection is not None
        return self.connection.open_stream(content_type, headers)


@dataclass(frozen=True, slots=True, kw_only=True)
class Response:
    """A complete response."""

    status: int = 200
    body: bytes = b""
    content_type: str = "text/plain; charset=utf-8"
    headers: tuple[Header, ...] = ()


Render = Callable[[HttpRefusal], Response]


def json_response(value: Any, *, status: int = 200, headers: Iterable[Header] = ()) -> Response:
    """Return *value* as a JSON response."""
    return Response(
        status=status,
        body=msgspec.json.encode(value),
        content_type="application/json",
        headers=tuple(headers),
    )


def plain_refusal(refusal: HttpRefusal) -> Response:
    """Return *refusal* as one line of text."""
    return Response(
        status=refusal.status, body=f"{refusal.message}\n".encode(), headers=refusal.headers
    )


def encode_head(status: int, headers: Iterable[Header]) -> bytes:
    """Return the status line and *headers*, with the date and the empty line that ends them."""
    lines = [_status_line(status), f"date: {_date(int(time.time()))}"]
    lines += [f"{name}: {value}" for name, value in headers]
    return ("\r\n".join(lines) + "\r\n\r\n").encode("latin-1")


@lru_cache(maxsize=64)
def _status_line(status: int) -> str:
    return f"HTTP/1.1 {status} {HTTPStatus(status).phrase}"


@lru_cache(maxsize=1)
def _date(second: int) -> str:
    return formatdate(second, usegmt=True)
