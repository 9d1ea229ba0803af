"""What a process keeps, notices and repairs when etcd is killed, restarted, or ends its lease."""

import asyncio
import logging
import shutil
import time
from collections.abc import AsyncIterator, Callable, Mapping

import pytest

from runtime.discovery.etcd import EtcdStore
from runtime.discovery.open import open_store
from runtime.errors import StoreUnavailable
from runtime.ports import Watch
from runtime.servers import LOOPBACK, free_port

pytestmark = pytest.mark.e2e

BACK_SECONDS = 10.0
AWAY_SECONDS = 4.0


@pytest.fixture(autouse=True)
async def _nothing_escapes(caplog: pytest.LogCaptureFixture) -> AsyncIterator[None]:
    yield
    assert [record for record in caplog.records if record.levelno >= logging.ERROR] == []


@pytest.fixture
async def worker(own_etcd) -> AsyncIterator[EtcdStore]:
    store = await EtcdStore.connect(own_etcd.url, ttl=2)
    yield store
    await store.close()


@pytest.fixture
async def frontend(own_etcd) -> AsyncIterator[EtcdStore]:
    store = await EtcdStore.connect(own_etcd.url, ttl=2)
    yield store
    await store.close()


async def until(watch: Watch, wanted: Callable[[Mapping[str, bytes]], bool]) -> None:
    async with asyncio.timeout(BACK_SECONDS):
        async for entries in watch.changes():
            if wanted(entries):
                return


async def until_healthy(store: EtcdStore, *, healthy: bool) -> None:
    async with asyncio.timeout(BACK_SECONDS):
        while store.healthy != healthy:  # noqa: ASYNC110 - a flag, not an event
            await asyncio.sleep(0.02)


async def test_leased_keys_and_watches_outlive_a_killed_etcd(own_etcd, worker, frontend):
    await worker.put("instances/a", b"1", leased=True)
    await worker.put("config/x", b"kept")
    watch = await frontend.watch("instances/")

    own_etcd.kill()
    await until_healthy(frontend, healthy=False)
    assert watch.entries == {"instances/a": b"1"}
    began = time.monotonic()
    with pytest.raises(StoreUnavailable, match=str(own_etcd.port)):
        await worker.put("instances/b", b"2", leased=True)
    with pytest.raises(StoreUnavailable):
        await worker.delete("instances/a")
    with pytest.raises(StoreUnavailable):
        await frontend.get("config/x")
    assert time.monotonic() - began < 3 * AWAY_SECONDS

    await own_etcd.start()
    await until(watch, lambda entries: entries == {"instances/b": b"2"})
    await until_healthy(worker, healthy=True)
    assert await frontend.get("config/x") == b"kept"
    await worker.put("instances/c", b"3", leased=True)
    await until(watch, lambda entries: "instances/c" in entries)
    await asyncio.sleep(3)  # longer than the TTL: the lease is still kept alive
    assert watch.entries == {"instances/b": b"2", "instances/c": b"3"}


async def test_an_etcd_that_lost_its_data_is_filled_again(own_etcd, worker, frontend, tmp_path):
    await worker.put("instances/a", b"1", leased=True)
    for number in range(20):  # a high revision, so that the new etcd's is below it
        await worker.put("config/x", str(number).encode())
    watch = await frontend.watch("")
    own_etcd.kill()
    shutil.rmtree(tmp_path / "etcd" / "data")
    await own_etcd.start()
    await until(watch, lambda entries: entries == {"instances/a": b"1"})
    await frontend.put("config/x", b"new")
    await until(watch, lambda entries: entries.get("config/x") == b"new")


async def test_a_lost_lease_brings_the_keys_back_under_another(own_etcd, worker, frontend):
    await worker.put("instances/a", b"1", leased=True)
    await worker.put("instances/b", b"2", leased=True)
    await worker.delete("instances/b")
    assert await worker.create("leader", b"me")
    watch = await frontend.watch("")
    await frontend._client.revoke(worker._leased._lease)
    await until(watch, lambda entries: entries == {})
    await until(watch, lambda entries: entries == {"instances/a": b"1"})
    assert await frontend.create("leader", b"other")  # a created key is nobody's after its lease
    await worker.close()
    await until(watch, lambda entries: entries == {"leader": b"other"})


async def test_a_lost_lease_is_noticed_by_the_next_write(own_etcd, worker, frontend):
    await worker.put("instances/a", b"1", leased=True)
    await frontend._client.revoke(worker._leased._lease)
    await worker.put("instances/b", b"2", leased=True)
    watch = await frontend.watch("")
    await until(watch, lambda entries: entries == {"instances/a": b"1", "instances/b": b"2"})


async def test_closing_while_etcd_is_away_takes_seconds_at_most(own_etcd):
    store = await EtcdStore.connect(own_etcd.url)
    await store.put("instances/a", b"1", leased=True)
    await store.watch("instances/")
    own_etcd.kill()
    began = time.monotonic()
    await store.close()
    assert time.monotonic() - began < 3.0


async def test_no_etcd_is_said_in_one_line_with_the_address():
    port = free_port()
    began = time.monotonic()
    with pytest.raises(StoreUnavailable, match=f"^etcd at {LOOPBACK}:{port} does not answer$"):
        await EtcdStore.connect(f"etcd://{LOOPBACK}:{port}", timeout=0.5)
    assert time.monotonic() - began < 3.0


async def test_the_store_of_an_address_is_etcd(own_etcd):
    store = await open_store(own_etcd.url, ttl=2.5)
    await store.put("a", b"{}")
    assert await store.get("a") == b"{}"
    await store.close()
