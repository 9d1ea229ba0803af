"""One client connection: requests are answered one at a time, in the order in which they came."""

import asyncio
import logging
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from typing import cast

from runtime.http.limits import HttpLimits
from runtime.http.message import HttpRefusal, Render, Request, Response, StreamWriter
from runtime.http.reader import RequestReader
from runtime.http.responder import Responder
from runtime.http.watchdog import Watchdog

Handler = Callable[[Request], Awaitable[Response | StreamWriter]]
"""Returns a response, or the request's own stream after writing to it.

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
    empty: asyncio.Event = field(default_factory=asyncio.Event)


class Connection(asyncio.Protocol):
    """Reads requests, runs the handler on each, and watches the clock and the buffers."""

    def __init__(self, site: Site) -> None:
        self._site = site
        self._reader = RequestReader(site.limits)
        self._transport: asyncio.Transport
        self._responder: Responder
        self._task: asyncio.Task[None] | None = None
        self._watchdog = Watchdog(self._time_out)
        self._is_writable = asyncio.Event()
        self._is_writable.set()
        self._is_closing = False
        self._is_lost = False

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Begin to wait for a request."""
        self._transport = cast("asyncio.Transport", transport)  # uvloop's is of no such class
        self._transport.set_write_buffer_limits(high=self._site.limits.write_buffer)
        self._responder = Responder(self._transport)
        self._site.connections.add(self)
        self._site.empty.clear()
        self._await_request()

    def data_received(self, data: bytes) -> None:
        """Take bytes; those after a refusal are discarded."""
        if not self._is_closing:
            self._reader.feed(data)
            self._advance()

    def connection_lost(self, exc: Exception | None) -> None:
        """Cancel the handler: nobody waits for its answer."""
        del exc
        self._is_closing = self._is_lost = True
        self._watchdog.disarm()
        self._is_writable.set()
        self._responder.lost()
        if self._task is not None:
            self._task.cancel()
        else:
            self._leave()

    def pause_writing(self) -> None:
        """Cut a stream; anything else waits until the client has read."""
        self._is_writable.clear()
        self._responder.cut_slow_stream()

    def resume_writing(self) -> None:
        """Go on answering."""
        self._is_writable.set()

    def drain(self) -> None:
        """Close after the request that is being answered, at once when there is none."""
        self._responder.is_draining = True
        if self._task is None:
            self._close()

    def abort(self) -> None:
        """Drop everything now."""
        self._transport.abort()

    def _advance(self) -> None:
        if self._task is not None:
            if len(self._reader.requests) > self._site.limits.pipelined:
                self._transport.pause_reading()
        elif self._reader.requests:
            request = self._reader.requests.popleft()
            self._watchdog.disarm()
            self._task = asyncio.get_running_loop().create_task(self._answer(request))
        elif self._reader.refusal is not None:
            self._refuse(self._reader.refusal)
        else:
            self._await_request()

    async def _answer(self, request: Request) -> None:
        self._responder.begin(request)
        try:
            self._responder.finish(await self._handle(request))
            await self._flushed()
        finally:
            self._task = None
            if self._is_lost:
                self._leave()
        if self._is_closing or self._transport.is_closing():
            return
        if not self._responder.keeps_alive:
            self._close()
            return
        self._transport.resume_reading()
        self._advance()

    async def _handle(self, request: Request) -> Response | StreamWriter:
        try:
            return await self._site.handler(request)
        except HttpRefusal as refusal:
            return self._site.render(refusal)
        except Exception:
            log.exception("handler failed method=%s path=%s", request.method, request.path)
            return self._site.render(HttpRefusal(500, "internal error"))

    async def _flushed(self) -> None:
        if not self._is_writable.is_set():
            self._watchdog.arm("flush", self._site.limits.idle_timeout)
            await self._is_writable.wait()
            self._watchdog.disarm()

    def _refuse(self, refusal: HttpRefusal) -> None:
        """Answer what cannot be read on, then let the client read why before the end."""
        self._is_closing = True
        self._responder.refuse(self._site.render(refusal))
        self._watchdog.arm("linger", self._site.limits.linger)

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
