"""The decode worker's side of a remote prefill: queue it, await the result, or give it up."""

import asyncio
import logging
from collections.abc import Callable
from enum import StrEnum

from runtime.errors import MessagingUnavailable, RuntimeFault
from runtime.ports import WorkQueue
from runtime.protocol import GenerateRequest
from runtime.stream.inbound import InboundStream
from runtime.stream.server import StreamServer
from workers.disaggregation.messages import RemotePrefillRequest, decode_result, encode
from workers.engine import Prefilled

log = logging.getLogger(__name__)

LOOK_SECONDS = 0.25
"""How often a waiting request looks whether any prefill worker is left."""


class Outcome(StrEnum):
    """What became of a remote prefill; the value is a metric label."""

    DONE = "done"
    TIMEOUT = "timeout"
    UNAVAILABLE = "unavailable"
    """The queue did not answer, or every prefill worker left."""
    FAILED = "failed"
    """Given up after its last attempt, or refused by the engine."""
    CANCELLED = "cancelled"


class _Answer:
    """A sink for the one result."""

    def __init__(self) -> None:
        self.result: asyncio.Future[Prefilled] = asyncio.get_running_loop().create_future()
        self.result.add_done_callback(_look)

    def on_data(self, body: bytes) -> None:
        if not self.result.done():
            self.result.set_result(decode_result(body))

    def on_end(self, fault: RuntimeFault | None) -> None:
        if not self.result.done():
            self.result.set_exception(fault or RuntimeFault("a prefill ended without a result"))


def _look(result: asyncio.Future[Prefilled]) -> None:
    """Look at a fault that came when nobody waited any more, so that asyncio does not report it."""
    if not result.cancelled():
        result.exception()


class RemotePrefill:
    """Sends prefills to whichever prefill worker takes them from the queue first.

    *workers_left* tells how many are listed, draining ones too; *count* is told every outcome.
    """

    def __init__(
        self,
        queue: WorkQueue,
        streams: StreamServer,
        *,
        time_limit: float,
        workers_left: Callable[[], int],
        count: Callable[[Outcome], None],
    ) -> None:
        self._queue = queue
        self._streams = streams
        self._time_limit = time_limit
        self._workers_left = workers_left
        self._count = count

    async def prefill(self, request: GenerateRequest) -> Prefilled | None:
        """Return where the KV of the prompt is, or None when it has to be computed here.

        Raises PrefillFailed after the last attempt, InvalidRequest for one that no engine takes.
        However it ends, nobody works on it for long: the stream is closed.
        """
        outcome = Outcome.CANCELLED
        try:
            result = await self._await_result(request)
            outcome = Outcome.DONE
        except TimeoutError:
            outcome, result = Outcome.TIMEOUT, None
        except MessagingUnavailable as error:
            log.debug("remote prefill given up request_id=%s: %s", request.request_id, error)
            outcome, result = Outcome.UNAVAILABLE, None
        except RuntimeFault:
            outcome = Outcome.FAILED
            raise
        finally:
            self._count(outcome)
        return result

    async def _await_result(self, request: GenerateRequest) -> Prefilled:
        answer = _Answer()
        stream = self._streams.expect(answer, reattach=True)
        item = RemotePrefillRequest(request=request, reply=self._streams.address, stream=stream.id)
        try:
            async with asyncio.timeout(self._time_limit):
                await self._queue.push(encode(item), item_id=f"{stream.id:x}")
                await self._wait(answer.result, stream)
                result = answer.result.result()
                stream.stop()  # tells the worker that its KV is wanted; without it the KV is freed
                return result
        finally:
            stream.discard()

    async def _wait(self, result: asyncio.Future[Prefilled], stream: InboundStream) -> None:
        """Return once *result* is there; raises MessagingUnavailable when nobody can bring it.

        One that is lost by its worker is delivered to another, if there is another.
        """
        losses = 0
        while not result.done():
            await asyncio.wait({result}, timeout=LOOK_SECONDS)
            was_lost = stream.losses > losses
            losses = stream.losses
            if not result.done() and self._workers_left() <= was_lost:
                raise MessagingUnavailable("no prefill worker is left")
