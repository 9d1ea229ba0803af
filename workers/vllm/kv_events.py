"""Listens to the KV events of the engine in this worker, over ZMQ as vLLM publishes them.

The worker binds and the engine connects: with both connecting nothing would ever arrive.
ZMQ comes with vLLM, so this is imported only where a worker listens.
"""

import asyncio
import contextlib
import logging

import zmq
import zmq.asyncio

from workers.vllm.prefix import PrefixIndex, read_batch

log = logging.getLogger(__name__)


class KvEvents:
    """Keeps *index* as the engine's events tell; *endpoint* is where the engine connects to."""

    def __init__(self, index: PrefixIndex) -> None:
        self._index = index
        self._context = zmq.asyncio.Context()
        self._socket = self._context.socket(zmq.SUB)
        self._socket.subscribe(b"")
        self.endpoint = f"tcp://127.0.0.1:{self._socket.bind_to_random_port('tcp://127.0.0.1')}"
        self._last: int | None = None
        self._task = asyncio.create_task(self._follow(), name="kv events")

    async def close(self) -> None:
        """Stop listening."""
        self._task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await self._task
        self._context.destroy(linger=0)

    async def _follow(self) -> None:
        while True:
            _topic, number, body = await self._socket.recv_multipart()
            self._take(int.from_bytes(number, "big"), body)

    def _take(self, number: int, body: bytes) -> None:
        """Follow one message; after a gap only what comes from then on is known."""
        if self._last is not None and number != self._last + 1:
            log.warning("kv events lost from=%d to=%d", self._last + 1, number)
            self._index.clear()
        self._last = number
        try:
            self._index.apply(read_batch(body).events)
        except ValueError as error:
            log.warning("kv events not read: %s", error)
            self._index.clear()
