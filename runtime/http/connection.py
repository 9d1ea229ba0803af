"""One client connection: requests are answered one at a time, in the order in which they came."""

import asyncio
import logging
from collections.abc import Awaitable, Callable, Iterable
from dataclasses import dataclass, field
from typing import cast

from runtime.http.limits import HttpLimits
from runtime.http.message import Header, HttpRefusal, Render, Request, Response, encode_head
from runtime.http.reader import RequestReader
from runtime.http.stream import Stream
from runtime.http.watchdog import Watchdog

Handler = Callable[[Request], Awaitable[object]]
"""Returns a Response, or anything else after it has written to the request's stream.

It is cancelled when the client goes away, within the same turn of the event loop.
"""

log = logging.getLogger(__name__)


@dataclass(slots=True, kw_only=True)
class Site:
    """What all connections of one server share."""

    handler: Handler
    limits: HttpLimits
    render: Render
    connections: set["Connection"] = field(default_factory=set)
    is_draining: bool = False
    empty: asyncio.Event = field(default_factory=asyncio.Event)


class Connection(asyncio.Protocol):
    """Reads requests, runs the handler on each, and watches the clock and the buffers."""

    def __init__(self, site: Site) -> None:
        self._site = site
        self._reader = RequestReader(site.limits)
        self._transport: asyncio.Transport
        self._task: asyncio.Task[None] | None = None
        self._request: Request | None = None
        self._stream: Stream | None = None
        self._watchdog = Watchdog(self._time_out)
        self._is_writable = asyncio.Event()
        self._is_writable.set()
        self._is_closing = False
        self._is_lost = False

    # -- called by the transport

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Begin to wait for a request."""
        self._transport = cast("asyncio.Transport", transport)  # uvloop's is of no such class
        self._transport.set_write_buffer_limits(high=self._site.limits.write_buffer)
        self._site.connections.add(self)
        self._site.empty.clear()
        self._await_request()

    def data_received(self, data: bytes) -> None:
        """Take bytes; those after a refusal are discarded."""
        if self._is_closing:
            return
        self._reader.feed(data)
        self._advance()

    def connection_lost(self, exc: Exception | None) -> None:
        """Cancel the handler: nobody waits for its answer."""
        del exc
        self._is_closing = self._is_lost = True
        self._watchdog.disarm()
        self._is_writable.set()
        if self._stream is not None:
            self._stream.cut()
        if self._task is not None:
            self._task.cancel()
        else:
            self._leave()

    def pause_writing(self) -> None:
        """Cut a stream whose client reads more slowly than tokens come."""
        self._is_writable.clear()
        if self._stream is not None and self._stream.is_open:
            buffered = self._transport.get_write_buffer_size()
            log.warning("slow client cut off unread_bytes=%d", buffered)
            self._stream.cut()
            self._transport.abort()

    def resume_writing(self) -> None:
        """Go on answering."""
        self._is_writable.set()

    # -- called by the server and by the request

    def open_stream(self, content_type: str, headers: Iterable[Header] = ()) -> Stream:
        """Answer the request that is being handled with a stream."""
        request = self._request
        assert request is not None
        chunked = not request.is_http_1_0
        framing = [("transfer-encoding", "chunked")] if chunked else []
        request.keep_alive = request.keep_alive and chunked
        head = [("content-type", content_type), *framing, *headers, *self._connection_header()]
        self._stream = Stream(self._transport, head=encode_head(200, head), chunked=chunked)
        return self._stream

    def drain(self) -> None:
        """Close after the request that is being answered, at once when there is none."""
        if self._task is None:
            self._close()

    def abort(self) -> None:
        """Drop everything now."""
        self._transport.abort()

    # -- one request after the other

    def _advance(self) -> None:
        if self._task is not None:
            if len(self._reader.requests) > self._site.limits.pipelined:
                self._transport.pause_reading()
        elif self._reader.requests:
            self._request = self._reader.requests.popleft()
            self._watchdog.disarm()
            self._task = asyncio.get_running_loop().create_task(self._answer(self._request))
        elif self._reader.refusal is not None:
            self._refuse(self._reader.refusal)
        else:
            self._await_request()

    async def _answer(self, request: Request) -> None:
        request.connection = self
        try:
            await self._finish(await self._handle(request))
        finally:
            self._task = self._request = self._stream = None
            if self._is_lost:
                self._leave()
        self._next(keep=request.keep_alive)

    async def _handle(self, request: Request) -> object:
        try:
            return await self._site.handler(request)
        except HttpRefusal as refusal:
            return self._site.render(refusal)
        except Exception:
            log.exception("handler failed method=%s path=%s", request.method, request.path)
            return self._site.render(HttpRefusal(500, "internal error"))

    async def _finish(self, answer: object) -> None:
        if self._stream is not None and (self._stream.has_begun or answer is self._stream):
            if answer is not self._stream:
                self._transport.abort()  # half an answer must not look like a whole one
            self._stream.finish()
        elif not self._transport.is_closing():
            assert isinstance(answer, Response)
            self._write(answer)
        if not self._is_writable.is_set():
            self._watchdog.arm("flush", self._site.limits.idle_timeout)
            await self._is_writable.wait()
            self._watchdog.disarm()

    def _next(self, *, keep: bool) -> None:
        if self._is_closing or self._transport.is_closing():
            return
        if not keep or self._site.is_draining:
            self._close()
            return
        self._transport.resume_reading()
        self._advance()

    def _write(self, response: Response) -> None:
        head = [
            ("content-type", response.content_type),
            ("content-length", str(len(response.body))),
            *response.headers,
            *self._connection_header(),
        ]
        request = self._request
        body = b"" if request is not None and request.method == "HEAD" else response.body
        self._transport.write(encode_head(response.status, head) + body)

    def _connection_header(self) -> list[Header]:
        request = self._request
        if request is None or self._site.is_draining or not request.keep_alive:
            return [("connection", "close")]
        return [("connection", "keep-alive")] if request.is_http_1_0 else []

    def _refuse(self, refusal: HttpRefusal) -> None:
        """Answer what cannot be read on, then let the client read why before the end."""
        self._is_closing = True
        self._write(self._site.render(refusal))
        if self._transport.can_write_eof():
            self._transport.write_eof()
        self._watchdog.arm("linger", self._site.limits.linger)

    # -- time

    def _await_request(self) -> None:
        limits = self._site.limits
        if self._reader.is_in_body:
            self._watchdog.arm("body", limits.body_timeout)
            if self._reader.take_expectation():
                self._transport.write(b"HTTP/1.1 100 Continue\r\n\r\n")
        elif self._reader.is_in_head:
            self._watchdog.arm("head", limits.head_timeout)
        else:
            self._watchdog.arm("idle", limits.idle_timeout)

    def _time_out(self, purpose: str) -> None:
        if purpose in {"head", "body"}:
            self._refuse(HttpRefusal(408, f"the request's {purpose} took too long"))
        else:
            self._transport.abort()

    def _close(self) -> None:
        self._is_closing = True
        self._watchdog.arm("flush", self._site.limits.idle_timeout)
        self._transport.close()

    def _leave(self) -> None:
        self._site.connections.discard(self)
        if not self._site.connections:
            self._site.empty.set()
