"""One request in the hands of a handler: from its acceptance to the end frame."""

import asyncio
import logging
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import aclosing
from typing import Any, cast

import msgspec

from runtime.context import Context, enter_context
from runtime.errors import Cancelled, DeadlineExceeded, InvalidRequest, RuntimeFault
from runtime.stream.outbound import OutboundStream

log = logging.getLogger(__name__)

Handler = Callable[[Any, Context], AsyncIterator[Any] | Awaitable[Any]]
"""An async generator function (a stream) or a coroutine function (a single value)."""

_encode = msgspec.msgpack.Encoder().encode


class Invocation:
    """Runs the handler in the current task; being aborted cancels that task."""

    def __init__(self, context: Context) -> None:
        self.context = context
        self._task = asyncio.current_task()
        self._reason: RuntimeFault | None = None

    def abort(self, reason: RuntimeFault | None = None) -> None:
        """End it now; *reason* is what the client is told if it still listens."""
        self._reason = self._reason or reason
        self.context.kill()
        if self._task is not None:
            self._task.cancel()

    async def run(self, handler: Handler, request: Any, stream: OutboundStream) -> None:
        """Accept the request, send what *handler* gives, and how it ended."""
        enter_context(self.context)
        stream.accept()
        timer = self._deadline()
        fault: RuntimeFault | None = None
        try:
            await _respond(handler(request, self.context), stream)
        except asyncio.CancelledError:
            fault = self._reason or Cancelled("the instance dropped the request")
        except RuntimeFault as raised:
            fault = raised
        except Exception as error:
            log.exception("handler failed request_id=%s", self.context.id)
            fault = RuntimeFault(f"{type(error).__name__}: {error}")
        finally:
            if timer is not None:
                timer.cancel()
        stream.finish(fault)

    def _deadline(self) -> asyncio.TimerHandle | None:
        remaining = self.context.remaining()
        if remaining is None:
            return None
        reason = DeadlineExceeded("the request's time was up")
        return asyncio.get_running_loop().call_later(remaining, self.abort, reason)


def decode_body(decoder: msgspec.msgpack.Decoder[Any], body: bytes) -> Any:
    """Return the request in *body*. Raises InvalidRequest when it does not fit."""
    try:
        return decoder.decode(body)
    except msgspec.DecodeError as error:
        raise InvalidRequest(f"the request does not fit: {error}") from error


async def _respond(answer: AsyncIterator[Any] | Awaitable[Any], stream: OutboundStream) -> None:
    if not hasattr(answer, "__aiter__"):
        answer = await answer
    if not hasattr(answer, "__aiter__"):
        stream.send(_encode(answer))
    elif hasattr(answer, "aclose"):
        async with aclosing(cast("Any", answer)) as items:
            await _send_all(items, stream)
    else:
        await _send_all(cast("AsyncIterator[Any]", answer), stream)


async def _send_all(items: AsyncIterator[Any], stream: OutboundStream) -> None:
    async for item in items:
        stream.send(_encode(item))
        if stream.is_congested:
            await stream.drain()
