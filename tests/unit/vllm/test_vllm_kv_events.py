"""KV events over real sockets: numbered by the engine, and some of them lost."""

import asyncio

import msgspec
import pytest
import zmq
import zmq.asyncio

from workers.vllm.kv_events import KvEvents
from workers.vllm.prefix import PrefixIndex


class Publisher:
    """Publishes as vLLM does: a topic, a number of 8 bytes, a batch."""

    def __init__(self, endpoint: str) -> None:
        self._context = zmq.asyncio.Context()
        self._socket = self._context.socket(zmq.PUB)
        self._socket.connect(endpoint)

    async def send(self, number: int, *events: object) -> None:
        body = msgspec.msgpack.encode([0.0, list(events), 0])
        await self._socket.send_multipart([b"", number.to_bytes(8, "big"), body])

    def close(self) -> None:
        self._context.destroy(linger=0)


def stored(block: int, tokens: list[int], parent: int | None = None) -> dict[str, object]:
    return {"type": "BlockStored", "block_hashes": [block], "parent_block_hash": parent,
            "token_ids": tokens, "block_size": 2}  # fmt: skip


@pytest.fixture
async def index():
    return PrefixIndex()


@pytest.fixture
async def publisher(index):
    events = KvEvents(index)
    publisher = Publisher(events.endpoint)
    try:
        async with asyncio.timeout(10):
            while not index.cached([8, 8]):  # connected once something arrives
                await publisher.send(0, stored(88, [8, 8]))
                await asyncio.sleep(0.02)
        yield publisher
    finally:
        publisher.close()
        await events.close()


async def until(condition):
    async with asyncio.timeout(10):
        while not condition():  # noqa: ASYNC110 - over a socket
            await asyncio.sleep(0.005)


async def test_the_index_follows(publisher, index):
    await publisher.send(1, stored(1, [1, 2]))
    await publisher.send(2, stored(2, [3, 4], parent=1))
    await until(lambda: index.cached([1, 2, 3, 4]) == 4)
    await publisher.send(3, {"type": "BlockRemoved", "block_hashes": [2]})
    await until(lambda: index.cached([1, 2, 3, 4]) == 2)


async def test_after_a_gap_only_what_came_since_is_known(publisher, index):
    await publisher.send(1, stored(1, [1, 2]))
    await until(lambda: index.cached([1, 2]) == 2)
    await publisher.send(5, stored(3, [5, 6]))
    await until(lambda: index.cached([5, 6]) == 2)
    assert index.cached([1, 2]) == 0


async def test_what_cannot_be_read_makes_it_forget(publisher, index):
    await publisher.send(1, stored(1, [1, 2]))
    await until(lambda: index.cached([1, 2]) == 2)
    await publisher.send(2, {"type": "BlockMoved"})
    await until(lambda: index.cached([1, 2]) == 0)
