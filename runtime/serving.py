"""One endpoint served by this process: registration, requests in flight, drain."""

import asyncio
import logging
from collections.abc import Awaitable, Mapping
from typing import TYPE_CHECKING, Any, Self

import msgspec

from runtime.connections import Connections
from runtime.context import Context
from runtime.errors import (
    DeadlineExceeded,
    Draining,
    MalformedFrame,
    RuntimeFault,
    StoreUnavailable,
    StreamBroken,
)
from runtime.frames import RequestHeader, decode_request
from runtime.instance import InstanceRecord, InstanceState, encode_record
from runtime.invocation import Handler, Invocation, decode_body
from runtime.stream.outbound import OutboundStream

if TYPE_CHECKING:
    from runtime.ports import Subscription

log = logging.getLogger(__name__)

_STORE_SECONDS = 2.0  # how long leaving waits for a store that is away; the lease ends by itself
_KILL_SECONDS = 1.0  # how long a killed handler may take to clean up


class ServedEndpoint:
    """What `Endpoint.serve` returns: an instance that clients find until it drains or closes."""

    def __init__(
        self,
        connections: Connections,
        record: InstanceRecord,
        *,
        handler: Handler,
        request_type: Any,
    ) -> None:
        self._connections = connections
        self._record = record
        self._handler = handler
        self._decoder = msgspec.msgpack.Decoder(request_type)
        self._subscription: Subscription | None = None
        self._running: set[Invocation] = set()
        self._idle = asyncio.Event()
        self._idle.set()
        self._is_leaving = False
        self._is_paused = False

    @classmethod
    async def start(
        cls,
        connections: Connections,
        record: InstanceRecord,
        *,
        handler: Handler,
        request_type: Any,
    ) -> Self:
        """Receive requests, and only then be listed."""
        served = cls(connections, record, handler=handler, request_type=request_type)
        served._subscription = await connections.plane.serve(record.subject, served._receive)
        connections.add(served)
        try:
            await served._register()
        except BaseException:
            await served.close()
            raise
        log.info("endpoint served key=%s subject=%s", record.key, record.subject)
        return served

    @property
    def instance(self) -> InstanceRecord:
        """Return the record as it is registered."""
        return self._record

    @property
    def in_flight(self) -> int:
        """Return how many requests are taken and not finished."""
        return len(self._running)

    async def set_metadata(self, metadata: Mapping[str, Any]) -> None:
        """Replace the metadata of the record. Raises StoreUnavailable; it is then done later."""
        self._record = msgspec.structs.replace(self._record, metadata=dict(metadata))
        await self._register()

    async def set_state(self, state: InstanceState) -> None:
        """Be listed with *state*; unless it is READY, what still arrives is sent elsewhere."""
        is_ready = state is InstanceState.READY
        self._is_paused &= not is_ready
        self._record = msgspec.structs.replace(self._record, state=state)
        await self._tell_store(self._register())
        self._is_paused = not is_ready

    async def wait_idle(self, timeout: float) -> bool:
        """Return whether nothing runs any more within *timeout* seconds."""
        try:
            async with asyncio.timeout(timeout):
                await self._idle.wait()
        except TimeoutError:
            return not self._running
        return True

    async def drain(self, timeout: float) -> bool:
        """Leave: take nothing new, wait *timeout* seconds for what runs, kill the rest, close.

        Returns whether everything finished. Those killed end with Draining at their clients,
        which may send them elsewhere.
        """
        self._record = msgspec.structs.replace(self._record, state=InstanceState.DRAINING)
        await self._tell_store(self._register())
        self._is_leaving = True
        log.info("endpoint draining key=%s in_flight=%d", self._record.key, self.in_flight)
        finished = await self.wait_idle(timeout)
        await self._leave(Draining("the instance left before the response was complete"))
        return finished

    async def close(self) -> None:
        """Deregister and kill what runs."""
        self._is_leaving = True
        await self._leave(Draining("the instance left"))

    async def _leave(self, reason: RuntimeFault) -> None:
        subscription, self._subscription = self._subscription, None
        if subscription is None:
            return
        await self._tell_store(self._connections.store.delete(self._record.key))
        await subscription.close()
        for invocation in tuple(self._running):
            invocation.abort(reason)
        await asyncio.sleep(0)  # what was delivered last is refused, not forgotten
        if not await self.wait_idle(_KILL_SECONDS):
            log.warning(
                "handlers ignore their end key=%s count=%d", self._record.key, self.in_flight
            )
        self._connections.remove(self)
        log.info("endpoint left key=%s", self._record.key)

    async def _register(self) -> None:
        store = self._connections.store
        await store.put(self._record.key, encode_record(self._record), leased=True)

    async def _tell_store(self, writing: Awaitable[None]) -> None:
        try:
            async with asyncio.timeout(_STORE_SECONDS):
                await writing
        except (StoreUnavailable, TimeoutError) as error:
            log.warning("store not told key=%s reason=%s", self._record.key, error)

    async def _receive(self, message: bytes) -> None:
        """Work on one request, in the task that the plane has made for it."""
        try:
            stream_id, header, body = decode_request(message, self._connections.config.limits)
            await self._work(stream_id, header, body)
        except (MalformedFrame, StreamBroken) as error:
            log.warning("request dropped subject=%s reason=%s", self._record.subject, error)

    async def _work(self, stream_id: int, header: RequestHeader, body: bytes) -> None:
        timeout = None if header.remaining_ms is None else header.remaining_ms / 1000
        loop = asyncio.get_running_loop()
        context = Context(header.request_id, timeout=timeout, clock=loop.time)
        invocation = Invocation(context)
        self._running.add(invocation)
        self._idle.clear()
        try:
            stream = await self._connections.responses.open(
                header.reply, stream_id, on_stop=context.stop, on_kill=invocation.abort
            )
            await self._answer(invocation, body, stream)
        finally:
            self._running.discard(invocation)
            if not self._running:
                self._idle.set()

    async def _answer(self, invocation: Invocation, body: bytes, stream: OutboundStream) -> None:
        try:
            self._check(invocation.context)
            request = decode_body(self._decoder, body)
        except RuntimeFault as fault:
            stream.refuse(fault)
        else:
            await invocation.run(self._handler, request, stream)

    def _check(self, context: Context) -> None:
        if self._is_leaving or self._is_paused:
            raise Draining("the instance takes nothing new")
        if context.remaining() == 0:
            raise DeadlineExceeded("the request's time was up before it arrived")
