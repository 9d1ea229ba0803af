"""A memory store can be away as etcd can: reads fail, leased writes are made later."""

import pytest

from runtime.discovery.memory import MemoryBackend, MemoryStore
from runtime.discovery.open import open_store
from runtime.errors import RuntimeFault, StoreUnavailable


async def test_leased_writes_made_while_away_take_effect_when_it_is_back():
    backend = MemoryBackend()
    store, reader = MemoryStore(backend), MemoryStore(backend)
    await store.put("old", b"1", leased=True)
    watch = await reader.watch("")
    backend.go_away()
    assert not store.healthy
    for call in (
        store.put("new", b"2", leased=True),
        store.put("setting", b"3"),
        store.delete("old"),
        store.delete("setting"),
        store.get("old"),
    ):
        with pytest.raises(StoreUnavailable):
            await call
    assert watch.entries == {"old": b"1"}
    backend.come_back()
    assert watch.entries == {"new": b"2"}


async def test_a_process_that_died_while_it_was_away_writes_nothing_later():
    backend = MemoryBackend()
    store = MemoryStore(backend)
    backend.go_away()
    with pytest.raises(StoreUnavailable):
        await store.put("a", b"1", leased=True)
    store.expire()
    backend.come_back()
    assert backend.read("a") is None


async def test_one_address_is_one_store_per_process():
    first, second = await open_store("memory:one"), await open_store("memory:one")
    other = await open_store("memory:other")
    await first.put("a", b"1", leased=True)
    assert (await second.get("a"), await other.get("a")) == (b"1", None)
    await first.close()
    assert await second.get("a") is None


async def test_an_unknown_address_is_refused_with_those_that_are_known():
    with pytest.raises(RuntimeFault, match=r"'redis://x': expected etcd://, static: or memory:"):
        await open_store("redis://x")
