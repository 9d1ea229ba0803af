"""Gets one request to one instance: sent, accepted, counted."""

import asyncio
import math
from collections.abc import Callable, Coroutine
from dataclasses import dataclass
from functools import partial
from types import MappingProxyType
from typing import TYPE_CHECKING, Any
from weakref import WeakValueDictionary

from runtime.call import Call, Deadline
from runtime.connections import Connections
from runtime.errors import DeadlineExceeded, NoResponders, RuntimeFault
from runtime.frames import RequestHeader, encode_request
from runtime.instance import InstanceRecord
from runtime.router.strategy import Placement
from runtime.stream.inbound import Sink
from runtime.stream.server import StreamServer

if TYPE_CHECKING:
    from collections.abc import Mapping

    from runtime.stream.receiver import InboundConnection

_GRACE_SECONDS = 0.25  # within it the worker's own word on the deadline may still arrive


@dataclass(frozen=True, slots=True, kw_only=True)
class Outgoing:
    """One request, whichever instance gets it."""

    payload: bytes
    request_id: str
    deadline: Deadline
    sink: Sink


class Dispatch:
    """Sends requests, and counts those that each instance works on until they end."""

    def __init__(self, connections: Connections, streams: StreamServer) -> None:
        self._plane = connections.plane
        self._limits = connections.config.limits
        self._prologue_timeout = connections.config.prologue_timeout
        self._streams = streams
        self._in_flight: dict[int, int] = {}
        self._lines: WeakValueDictionary[int, InboundConnection] = WeakValueDictionary()
        self.in_flight: Mapping[int, int] = MappingProxyType(self._in_flight)

    async def send(
        self, request: Outgoing, record: InstanceRecord, *, placement: Placement | None = None
    ) -> Call:
        """Return the call once *record* has accepted *request*; else nothing of it is left.

        A *placement* is told the first item and the end of the call.

        Raises NoResponders for an instance that is gone or silent, StreamBroken for one that goes
        meanwhile, Draining, DeadlineExceeded, InvalidRequest, and any fault of its refusal.
        """
        prologue: asyncio.Future[RuntimeFault | None]
        prologue = asyncio.get_running_loop().create_future()
        sink = request.sink if placement is None else _FirstItem(request.sink, placement.started)
        stream = self._streams.expect(
            sink,
            opened=partial(_settle, prologue),
            ended=partial(self._release, record.instance_id, placement),
        )
        line = self._lines.get(record.instance_id)
        if line is not None and not line.lost.is_set():
            stream.depend_on(line)
        self._take(record.instance_id)
        try:
            await self._accepted(request, record, stream_id=stream.id, prologue=prologue)
            left = request.deadline.remaining()
        except BaseException:
            stream.discard()
            raise
        if stream.line is not None:
            self._lines[record.instance_id] = stream.line
        if left is not None:
            stream.expire_in(left + _GRACE_SECONDS)
        cached_tokens = None if placement is None else placement.cached_tokens
        return Call(record.instance_id, stream, cached_tokens=cached_tokens)

    async def _accepted(
        self,
        request: Outgoing,
        record: InstanceRecord,
        *,
        stream_id: int,
        prologue: asyncio.Future[RuntimeFault | None],
    ) -> None:
        left = request.deadline.remaining()
        header = RequestHeader(
            request_id=request.request_id,
            reply=self._streams.address,
            remaining_ms=None if left is None else math.ceil(left * 1000),
        )
        message = encode_request(stream_id, header, request.payload, self._limits)
        budget = self._prologue_timeout if left is None else min(self._prologue_timeout, left)
        try:
            async with asyncio.timeout(budget):
                sending = self._plane.send(record.subject, message, timeout=budget)
                fault = await _first_word(sending, prologue)
        except (TimeoutError, DeadlineExceeded):
            if budget == left:
                raise DeadlineExceeded("no instance accepted the request in its time") from None
            silence = f"{record.subject} did not accept within {budget:g} s"
            raise NoResponders(silence) from None
        if fault is not None:
            raise fault

    def _take(self, instance_id: int) -> None:
        self._in_flight[instance_id] = self._in_flight.get(instance_id, 0) + 1

    def _release(self, instance_id: int, placement: Placement | None) -> None:
        if placement is not None:
            placement.end()
        self._in_flight[instance_id] -= 1
        if not self._in_flight[instance_id]:
            del self._in_flight[instance_id]


class _FirstItem:
    """A sink that tells of the first item on its way to another."""

    __slots__ = ("_sink", "_started", "on_end")

    def __init__(self, sink: Sink, started: Callable[[], None]) -> None:
        self._sink = sink
        self._started: Callable[[], None] | None = started
        self.on_end = sink.on_end

    def on_data(self, body: bytes) -> None:
        """Pass *body* on."""
        if self._started is not None:
            self._started()
            self._started = None
        self._sink.on_data(body)


async def _first_word(
    sending: Coroutine[object, object, None], prologue: asyncio.Future[RuntimeFault | None]
) -> RuntimeFault | None:
    """Return what *prologue* comes to, and end *sending*; raises what *sending* raises before it.

    A process that dies with a message unread never accepts it: its lost connection tells first.
    """
    task = asyncio.create_task(sending)
    either: set[asyncio.Future[Any]] = {task, prologue}
    try:
        await asyncio.wait(either, return_when=asyncio.FIRST_COMPLETED)
        if not prologue.done():
            await task
        return await prologue
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


def _settle(prologue: asyncio.Future[RuntimeFault | None], fault: RuntimeFault | None) -> None:
    if not prologue.done():  # who waited may have given up
        prologue.set_result(fault)
