"""A memory plane can be away as NATS can, and is found by its address."""

import asyncio

import pytest

from runtime.errors import MessagingUnavailable, NoResponders, RuntimeFault
from runtime.messaging.memory import MemoryExchange, MemoryPlane
from runtime.messaging.open import open_plane


async def test_a_plane_that_is_away_refuses_and_forgets_nothing():
    exchange = MemoryExchange()
    plane = MemoryPlane(exchange)
    got = asyncio.Event()

    async def handler(_: bytes) -> None:
        got.set()

    await plane.serve("a", handler)
    exchange.available = False
    assert not plane.healthy
    with pytest.raises(MessagingUnavailable):
        await plane.send("a", b"1", timeout=1.0)
    exchange.available = True
    await plane.send("a", b"1", timeout=1.0)
    await got.wait()
    await plane.close()


async def test_one_address_is_one_plane_per_process():
    server, client = await open_plane("memory:one"), await open_plane("memory:one")
    other = await open_plane("memory:other")
    got = asyncio.Event()

    async def handler(_: bytes) -> None:
        got.set()

    await server.serve("a", handler)
    await client.send("a", b"1", timeout=1.0)
    await got.wait()
    with pytest.raises(NoResponders):
        await other.send("a", b"1", timeout=1.0)
    await server.close()


async def test_an_unknown_address_is_refused_with_those_that_are_known():
    with pytest.raises(RuntimeFault, match=r"'amqp://x': expected nats:// or memory:"):
        await open_plane("amqp://x")
