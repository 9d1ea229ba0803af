"""The client's end of one response stream, and what it hands the response to."""

import asyncio
from collections.abc import Callable
from typing import TYPE_CHECKING, Protocol

from runtime.errors import Cancelled, DeadlineExceeded, RuntimeFault, StreamBroken
from runtime.frames import FrameKind

if TYPE_CHECKING:
    from runtime.stream.receiver import InboundConnection

_REDIAL_SECONDS = 0.25  # in which a worker that is alive has dialled again


class Sink(Protocol):
    """Takes a response as it arrives; called from the connection's own callback, so never blocks.

    Both may be called before `Client.open` has returned. `on_end` is called exactly once for
    every call that `open` returned, and never when `open` raised.
    """

    def on_data(self, body: bytes) -> None:
        """Take one encoded item. A RuntimeFault raised here kills the stream and ends it so."""
        ...

    def on_end(self, fault: RuntimeFault | None) -> None:
        """Take the end: None after a complete response, else why it is not."""
        ...


class Desk(Protocol):
    """Where streams wait until a worker's prologue claims them."""

    def claim(self, stream_id: int) -> "InboundStream | None":
        """Return the stream that *stream_id* names if a worker may answer it from here on."""
        ...

    def put_back(self, stream: "InboundStream") -> None:
        """Let *stream* wait again."""
        ...

    def release(self, stream: "InboundStream") -> None:
        """Forget *stream*: it is over."""
        ...

    def connected(self, connection: "InboundConnection") -> None:
        """Remember *connection*."""
        ...

    def disconnected(self, connection: "InboundConnection") -> None:
        """Forget *connection*."""
        ...


class InboundStream:
    """One awaited response: waiting for its prologue, then open, then ended.

    *opened*, where given, is told how the waiting ended (None: a worker has accepted), and the
    sink hears nothing of a stream that never opened. *ended* is called once on every path. With
    *reattach* neither a broken connection nor a retryable fault is the end: the stream waits for
    another prologue, for work that is delivered again when a worker died or gave it back. The
    newest prologue counts, so a worker that hangs loses it to the next one; *losses* counts the
    workers that died or gave it back.
    """

    __slots__ = (
        "_connection",
        "_desk",
        "_ended",
        "_is_open",
        "_line_timer",
        "_opened",
        "_reattach",
        "_sink",
        "_stop_asked",
        "_timer",
        "id",
        "is_over",
        "line",
        "losses",
        "on_data",
    )

    def __init__(
        self,
        stream_id: int,
        sink: Sink,
        *,
        desk: Desk,
        opened: Callable[[RuntimeFault | None], None] | None,
        ended: Callable[[], None] | None,
        reattach: bool,
    ) -> None:
        self.id = stream_id
        self.is_over = False
        self.losses = 0
        """How often a worker that had it died or gave it back."""
        self.on_data = sink.on_data
        self._sink = sink
        self._desk = desk
        self._opened = opened
        self._ended = ended
        self._reattach = reattach
        self._connection: InboundConnection | None = None
        self.line: InboundConnection | None = None
        self._is_open = False
        self._stop_asked = False
        self._timer: asyncio.TimerHandle | None = None
        self._line_timer: asyncio.TimerHandle | None = None

    def depend_on(self, line: "InboundConnection") -> None:
        """Break soon after *line*, on which the worker that is asked has answered before.

        `line` is then the connection of the worker that has accepted, or is expected to.
        """
        self.line = line
        line.expect(self)

    def expire_in(self, seconds: float) -> None:
        """Kill it with DeadlineExceeded unless it is over in *seconds*."""
        if not self.is_over:
            self._timer = asyncio.get_running_loop().call_later(seconds, self._expire)

    def stop(self) -> None:
        """Ask the worker for a graceful end."""
        self._stop_asked = True
        if self._connection is not None:
            self._connection.send(FrameKind.STOP, self.id)

    def kill(self, fault: RuntimeFault | None = None) -> None:
        """Drop it now; it ends with *fault*, Cancelled by default."""
        if not self.is_over:
            self._tell_worker_to_drop()
            self._finish(fault or Cancelled("the client dropped the request"))

    def discard(self) -> None:
        """Drop it now without a word to the sink."""
        if not self.is_over:
            self._tell_worker_to_drop()
            self._leave()

    def attach(self, connection: "InboundConnection") -> None:
        """Receive from *connection* from here on: the worker has accepted."""
        self._leave_line()
        self._connection = self.line = connection
        if not self._is_open:
            self._is_open = True
            if self._opened is not None:
                self._opened(None)
        if self._stop_asked:
            connection.send(FrameKind.STOP, self.id)

    def line_lost(self, fault: RuntimeFault) -> None:
        """Take note that the worker that is asked has gone, or has closed an idle connection."""
        loop = asyncio.get_running_loop()
        self._line_timer = loop.call_later(_REDIAL_SECONDS, self.end, fault)

    def detach(self) -> None:
        """Take it from the worker that has it, if any, for another one."""
        self._tell_worker_to_drop()
        self._forget_worker()

    def lost(self, fault: RuntimeFault) -> None:
        """Take note that the connection is gone because of *fault*."""
        self._connection = None
        self.end(fault)

    def end(self, fault: RuntimeFault | None) -> None:
        """Be over."""
        if self.is_over:
            return
        if self._reattach and fault is not None and fault.retryable:
            self.losses += 1
            self._forget_worker()
            self._desk.put_back(self)
        else:
            self._finish(fault)

    def _finish(self, fault: RuntimeFault | None) -> None:
        self._leave()
        if self._is_open or self._opened is None:
            self._sink.on_end(fault)
        else:
            self._opened(fault or StreamBroken("the stream ended before it began"))

    def _expire(self) -> None:
        self.kill(DeadlineExceeded("the response did not end in time"))

    def _tell_worker_to_drop(self) -> None:
        if self._connection is not None:
            self._connection.send(FrameKind.KILL, self.id)

    def _forget_worker(self) -> None:
        if self._connection is not None:
            self._connection.forget(self)
            self._connection = None

    def _leave_line(self) -> None:
        if self.line is not None:
            self.line.expect_no_more(self)
        if self._line_timer is not None:
            self._line_timer.cancel()

    def _leave(self) -> None:
        self.is_over = True
        self._leave_line()
        if self._timer is not None:
            self._timer.cancel()
        self._forget_worker()
        self._desk.release(self)
        if self._ended is not None:
            self._ended()
