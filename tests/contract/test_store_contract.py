"""One suite for every discovery store: whatever passes it can stand under the runtime."""

import asyncio
import uuid
from collections.abc import AsyncIterator, Mapping
from typing import Any

import pytest

from runtime.discovery.etcd import EtcdStore
from runtime.discovery.memory import MemoryBackend, MemoryStore
from runtime.errors import StoreUnavailable
from runtime.ports import Store, Watch

pytestmark = pytest.mark.contract

PATIENCE = 5.0


class MemoryStores:
    def __init__(self) -> None:
        self._backend = MemoryBackend()
        self.opened: list[Store] = []

    async def open(self) -> Store:
        self.opened.append(MemoryStore(self._backend))
        return self.opened[-1]

    async def die(self, store: Any) -> None:
        store.expire()


class EtcdStores:
    def __init__(self, url: str) -> None:
        self._url = url
        self.opened: list[Store] = []

    async def open(self) -> Store:
        self.opened.append(await EtcdStore.connect(self._url, ttl=5))
        return self.opened[-1]

    async def die(self, store: Any) -> None:
        """End the lease as its expiry would, with nobody left to take another one."""
        store._leased._keeper.cancel()
        await store._client.revoke(store._leased._lease)


@pytest.fixture(params=["memory", "etcd"])
def harness(request: pytest.FixtureRequest) -> MemoryStores | EtcdStores:
    if request.param == "memory":
        return MemoryStores()
    return EtcdStores(request.getfixturevalue("etcd_server").url)


@pytest.fixture
async def stores(harness: MemoryStores | EtcdStores) -> AsyncIterator[MemoryStores | EtcdStores]:
    yield harness
    for store in harness.opened:
        await store.close()


@pytest.fixture
def root() -> str:
    return f"{uuid.uuid4().hex}/"


async def until(watch: Watch, wanted: Mapping[str, bytes]) -> None:
    async with asyncio.timeout(PATIENCE):
        async for entries in watch.changes():
            if entries == wanted:
                return


async def test_a_value_is_read_back_until_deleted(stores, root):
    store = await stores.open()
    assert await store.get(root + "a") is None
    await store.put(root + "a", b"\x00\xff")
    assert await store.get(root + "a") == b"\x00\xff"
    await store.put(root + "a", b"")
    assert await store.get(root + "a") == b""
    await store.delete(root + "a")
    await store.delete(root + "a")
    assert await store.get(root + "a") is None


async def test_of_many_creators_one_wins(stores, root):
    several = [await stores.open() for _ in range(3)]
    won = await asyncio.gather(
        *(store.create(root + "leader", str(i).encode()) for i, store in enumerate(several))
    )
    assert sorted(won) == [False, False, True]
    assert await several[0].get(root + "leader") == str(won.index(True)).encode()


async def test_a_key_can_be_created_again_when_it_is_gone(stores, root):
    first, second = await stores.open(), await stores.open()
    assert await first.create(root + "leader", b"1")
    await first.close()
    assert await second.create(root + "leader", b"2", leased=False)
    assert not await second.create(root + "leader", b"3")


async def test_closing_takes_the_leased_keys_along_and_no_others(stores, root):
    leaving, staying = await stores.open(), await stores.open()
    await leaving.put(root + "leased", b"1", leased=True)
    await leaving.create(root + "created", b"2")
    await leaving.put(root + "kept", b"3")
    watch = await staying.watch(root)
    await leaving.close()
    await until(watch, {root + "kept": b"3"})
    assert await staying.get(root + "leased") is None


async def test_leased_keys_go_with_a_dead_process(stores, root):
    dying, staying = await stores.open(), await stores.open()
    await dying.put(root + "mine", b"1", leased=True)
    await staying.put(root + "theirs", b"2", leased=True)
    watch = await staying.watch(root)
    await stores.die(dying)
    await until(watch, {root + "theirs": b"2"})


async def test_a_key_written_again_without_a_lease_stays(stores, root):
    leaving, staying = await stores.open(), await stores.open()
    await leaving.put(root + "a", b"1", leased=True)
    await staying.put(root + "a", b"2")
    await leaving.close()
    assert await staying.get(root + "a") == b"2"


async def test_a_watch_starts_with_what_is_there_and_sees_its_prefix_only(stores, root):
    store = await stores.open()
    await store.put(root + "a:1", b"1")
    await store.put(root + "ab", b"other")
    watch = await store.watch(root + "a:")
    assert watch.entries == {root + "a:1": b"1"}
    await store.put(root + "ab", b"another")
    await store.put(root + "a:2", b"2")
    await until(watch, {root + "a:1": b"1", root + "a:2": b"2"})


async def test_a_watch_sees_every_kind_of_change(stores, root):
    writer, reader = await stores.open(), await stores.open()
    watch = await reader.watch(root)
    assert watch.entries == {}
    await writer.put(root + "a", b"1", leased=True)
    await until(watch, {root + "a": b"1"})
    await writer.put(root + "a", b"2", leased=True)
    await until(watch, {root + "a": b"2"})
    await writer.delete(root + "a")
    await until(watch, {})


async def test_changes_come_at_once_and_then_for_every_follower(stores, root):
    store = await stores.open()
    await store.put(root + "a", b"1")
    watch = await store.watch(root)
    followers = [watch.changes(), watch.changes()]
    assert [await anext(each) for each in followers] == [{root + "a": b"1"}] * 2
    await store.put(root + "b", b"2")
    async with asyncio.timeout(PATIENCE):
        seen = [await anext(each) for each in followers]
    assert seen == [{root + "a": b"1", root + "b": b"2"}] * 2


async def test_a_burst_ends_in_its_result(stores, root):
    store = await stores.open()
    watch = await store.watch(root)
    for number in range(50):
        await store.put(f"{root}{number % 5}", str(number).encode())
    await until(watch, {f"{root}{i}": str(45 + i).encode() for i in range(5)})


async def test_entries_do_not_change_under_their_reader(stores, root):
    store = await stores.open()
    watch = await store.watch(root)
    before = watch.entries
    await store.put(root + "a", b"1")
    await until(watch, {root + "a": b"1"})
    assert before == {}


async def test_a_closed_watch_ends_its_followers_and_keeps_its_entries(stores, root):
    store = await stores.open()
    await store.put(root + "a", b"1")
    watch = await store.watch(root)

    async def follow() -> int:
        return len([entries async for entries in watch.changes()])

    following = asyncio.create_task(follow())
    await asyncio.sleep(0)
    await watch.close()
    async with asyncio.timeout(PATIENCE):
        assert await following == 1
    await store.put(root + "a", b"2")
    assert watch.entries == {root + "a": b"1"}


async def test_a_closed_store_refuses(stores, root):
    store = await stores.open()
    assert store.healthy
    await store.close()
    await store.close()
    assert not store.healthy
    for call in (
        store.get(root),
        store.put(root, b""),
        store.create(root, b""),
        store.delete(root),
        store.watch(root),
    ):
        with pytest.raises(StoreUnavailable):
            await call
