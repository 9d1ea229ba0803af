"""One prefill out of the queue: compute it, hand the result over, and only then acknowledge it.

Until then it is kept alive; if this worker dies, it comes back to the queue and another takes it.
"""

import asyncio
import logging
import zlib
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass

from msgspec.structs import replace

from runtime.errors import (
    Draining,
    InvalidRequest,
    MalformedFrame,
    MessagingUnavailable,
    PrefillFailed,
    RuntimeFault,
    StreamBroken,
)
from runtime.ports import Delivery, WorkQueue
from runtime.stream.outbound import OutboundStream
from runtime.stream.pool import ConnectionPool
from workers.disaggregation.messages import RemotePrefillRequest, decode_request, encode
from workers.engine import Engine, Prefilled

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class Prefilling:
    """What a prefill worker works with; *ack_wait* is the queue's, in seconds."""

    engine: Engine
    responses: ConnectionPool
    dead_letters: WorkQueue
    ack_wait: float
    max_attempts: int = 3


class _Caller:
    """Whoever waits for one result, as its stream tells: has it, or has gone."""

    def __init__(self) -> None:
        self.has_result = False
        self._changed = asyncio.Event()
        self._on_gone: Callable[[], object] = self._changed.set

    def received(self) -> None:
        self.has_result = True
        self._changed.set()

    def gone(self) -> None:
        self._changed.set()
        self._on_gone()

    def when_gone(self, act: Callable[[], object]) -> None:
        """Call *act* when nobody waits any more, at once if so already."""
        self._on_gone = act
        if self._changed.is_set():
            act()

    async def settled(self) -> None:
        """Return once it has the result or has gone."""
        await self._changed.wait()


class PrefillDelivery:
    """One delivery and what becomes of it."""

    def __init__(self, delivery: Delivery, prefilling: Prefilling) -> None:
        self._delivery = delivery
        self._with = prefilling
        self._malformed: InvalidRequest | None = None
        self._item: RemotePrefillRequest | None = None
        try:
            self._item = decode_request(delivery.body)
        except InvalidRequest as error:
            self._malformed = error

    @property
    def tokens(self) -> int:
        """Return the prompt tokens of the item; 0 for one that cannot be read."""
        return 0 if self._item is None else len(self._item.request.token_ids)

    async def run(self) -> None:
        """Do all there is to do; what goes wrong is logged and lets the item come back."""
        try:
            await self._run()
        except asyncio.CancelledError:
            with suppress(MessagingUnavailable):
                await self._delivery.retry()
            raise
        except MessagingUnavailable as error:
            log.warning("prefill not acknowledged: %s", error)
        except Exception:
            log.exception("prefill delivery failed")

    async def _run(self) -> None:
        if self._item is None:
            await self._bury(str(self._malformed))
            return
        caller = _Caller()
        try:
            stream = await self._with.responses.open(
                self._item.reply, self._item.stream, on_stop=caller.received, on_kill=caller.gone
            )
        except StreamBroken:  # the decode worker itself is gone
            await self._delivery.ack()
        except MalformedFrame as error:
            await self._pass_over(error)
        else:
            await self._answer(self._item, caller, stream)

    async def _pass_over(self, error: MalformedFrame) -> None:
        """Leave an item that has no address, or is being worked on here already."""
        if self._attempts_are_over:
            await self._bury(error.message)
        else:
            log.warning("prefill not taken attempt=%d: %s", self._delivery.attempt, error)

    async def _answer(
        self, item: RemotePrefillRequest, caller: _Caller, stream: OutboundStream
    ) -> None:
        if self._attempts_are_over:
            await self._give_up(stream.refuse, f"{self._with.max_attempts} attempts")
        else:
            stream.accept()
            await self._work(item, caller, stream)

    @property
    def _attempts_are_over(self) -> bool:
        return self._delivery.attempt > self._with.max_attempts

    async def _work(
        self, item: RemotePrefillRequest, caller: _Caller, stream: OutboundStream
    ) -> None:
        try:
            async with self._kept_alive():
                result = await self._prefill(item, caller)
                if result is not None:
                    stream.send(encode(result))
                    await caller.settled()
        except asyncio.CancelledError:
            stream.finish(Draining("the prefill worker left before the prefill was complete"))
            raise
        except InvalidRequest as fault:  # no other engine would take it either
            stream.finish(fault)
            await self._delivery.ack()
        except Exception as error:
            await self._fail(stream, error)
        else:
            await self._conclude(caller, stream, result)

    async def _prefill(self, item: RemotePrefillRequest, caller: _Caller) -> Prefilled | None:
        """Return the result, or None when nobody waits for it any more."""
        # The stream in the id keeps apart two requests of the same id from two decode workers.
        request = replace(item.request, request_id=f"{item.request.request_id}-{item.stream:x}")
        task = asyncio.create_task(self._with.engine.prefill(request))
        caller.when_gone(task.cancel)
        try:
            await asyncio.wait({task})
        finally:
            task.cancel()
            await asyncio.wait({task})
        return None if task.cancelled() else task.result()

    async def _conclude(
        self, caller: _Caller, stream: OutboundStream, result: Prefilled | None
    ) -> None:
        """Acknowledge what arrived and what nobody wants; the rest was cut off on its way.

        What was cut off may have arrived all the same, so only what nobody wants is released.
        """
        was_cut_off = not caller.has_result and not stream.is_connected
        stream.finish()
        if was_cut_off:
            await self._delivery.retry()
            return
        await self._delivery.ack()
        if result is not None and not caller.has_result:
            await self._with.engine.release(result.transfer)

    async def _fail(self, stream: OutboundStream, error: Exception) -> None:
        """Let another attempt be made, or give up after the last."""
        attempt, last = self._delivery.attempt, self._with.max_attempts
        log.warning("prefill failed attempt=%d of=%d error=%r", attempt, last, error)
        if attempt >= last:
            await self._give_up(stream.finish, f"{last} attempts, the last one with {error!r}")
        else:
            stream.finish(StreamBroken(f"prefill attempt {attempt} failed: {error!r}"))
            await self._delivery.retry()

    async def _give_up(self, end: Callable[[RuntimeFault], None], after: str) -> None:
        fault = PrefillFailed(f"the prefill was given up after {after}")
        await self._bury(fault.message)
        end(fault)

    async def _bury(self, reason: str) -> None:
        """Put the item where operators find it, and take it off the queue."""
        body = self._delivery.body
        await self._with.dead_letters.push(body, item_id=f"{zlib.crc32(body):08x}")
        await self._delivery.ack()
        log.warning("prefill dead-lettered reason=%s", reason)

    @asynccontextmanager
    async def _kept_alive(self) -> AsyncIterator[None]:
        task = asyncio.create_task(self._keep_alive())
        try:
            yield
        finally:
            task.cancel()
            await asyncio.wait({task})

    async def _keep_alive(self) -> None:
        while True:
            await asyncio.sleep(self._with.ack_wait / 3)
            try:
                await self._delivery.in_progress()
            except MessagingUnavailable as error:
                log.debug("prefill not kept alive: %s", error)
