"""A response as an asynchronous iterator, with a bound on what its reader leaves unread."""

import asyncio
from collections import deque
from collections.abc import AsyncIterator, Callable
from contextlib import suppress
from types import TracebackType
from typing import Any, Self

import msgspec

from runtime.call import Call
from runtime.errors import Overloaded, RuntimeFault

_ITEM_OVERHEAD = 64  # bytes that an unread item costs besides its body


class ResponseBuffer:
    """The sink of one response: keeps at most *limit* bytes, or one item, unread."""

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._items: deque[bytes] = deque()
        self._bytes = 0
        self._fault: RuntimeFault | None = None
        self._waiter: asyncio.Future[None] | None = None
        self._at_end: list[Callable[[], None]] = []
        self.is_over = False

    def on_data(self, body: bytes) -> None:
        """Keep one item. Raises Overloaded when too much is unread."""
        self._bytes += len(body) + _ITEM_OVERHEAD
        if self._items and self._bytes > self._limit:
            raise Overloaded(f"more than {self._limit} bytes of the response are unread")
        self._items.append(body)
        self._wake()

    def on_end(self, fault: RuntimeFault | None) -> None:
        """Keep how it ended."""
        self.is_over = True
        self._fault = fault
        for callback in self._at_end:
            callback()
        self._wake()

    def at_end(self, callback: Callable[[], None]) -> None:
        """Call *callback* at the end, now if that has been."""
        if self.is_over:
            callback()
        else:
            self._at_end.append(callback)

    async def take(self) -> bytes:
        """Return the next item; StopAsyncIteration after the last, or the fault that ended it."""
        while not self._items:
            if self._fault is not None:
                raise self._fault
            if self.is_over:
                raise StopAsyncIteration
            self._waiter = asyncio.get_running_loop().create_future()
            await self._waiter
        body = self._items.popleft()
        self._bytes -= len(body) + _ITEM_OVERHEAD
        return body

    def _wake(self) -> None:
        if self._waiter is not None and not self._waiter.done():
            self._waiter.set_result(None)


class ResponseStream(AsyncIterator[Any]):
    """The items of one response, for one reader; raises the fault that ended it.

    Leaving the ``async with`` block, or dropping the stream, kills what is not finished.
    """

    def __init__(self, call: Call, buffer: ResponseBuffer, response_type: Any) -> None:
        self._call = call
        self._buffer = buffer
        self._decode = msgspec.msgpack.Decoder(response_type).decode
        self._loop = asyncio.get_running_loop()

    @property
    def instance_id(self) -> int:
        """Return the instance that answers."""
        return self._call.instance_id

    async def __anext__(self) -> Any:
        """Return the next item. Raises RuntimeFault for one that is not of the response type."""
        body = await self._buffer.take()
        try:
            return self._decode(body)
        except msgspec.DecodeError as error:
            self._call.kill()
            raise RuntimeFault(f"the response does not fit: {error}") from error

    async def stop(self) -> None:
        """Ask for a graceful end; iterate on to receive what is done."""
        self._call.stop()

    async def kill(self) -> None:
        """Drop it now; items that have arrived can still be read, then Cancelled is raised."""
        self._call.kill()

    async def aclose(self) -> None:
        """Drop what is not finished."""
        self._call.kill()

    async def __aenter__(self) -> Self:
        """Return itself."""
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        """Drop what is not finished."""
        self._call.kill()

    def __del__(self) -> None:
        """Drop what nobody can read any more."""
        if not self._buffer.is_over:
            with suppress(RuntimeError):  # the loop is closed, and the connection with it
                self._loop.call_soon_threadsafe(self._call.kill)
