"""Watches and leases against a scripted etcd: what it does badly, and in which order."""

import asyncio
import logging
from collections import deque

import pytest

from runtime.discovery import etcd_watch
from runtime.discovery.etcd import EtcdStore, _address
from runtime.discovery.etcd_client import LeaseGone, Listing, _range_end
from runtime.discovery.etcd_lease import LeasedKeys
from runtime.discovery.etcd_watch import EtcdWatch
from runtime.errors import StoreUnavailable


@pytest.fixture(autouse=True)
def _quick_retries(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(etcd_watch, "RETRY_SECONDS", 0.0)


class ScriptedWatching:
    """Lists and follows as told: each follow gives its batches and then ends or raises."""

    def __init__(self, lists, follows):
        self._lists = deque(lists)
        self._follows = deque(follows)
        self.followed_from: list[int] = []

    async def list(self, prefix):
        answer = self._lists.popleft()
        if isinstance(answer, Exception):
            raise answer
        return answer

    async def follow(self, prefix, *, start_revision):
        self.followed_from.append(start_revision)
        if not self._follows:
            await asyncio.Event().wait()
        *batches, end = self._follows.popleft()
        for batch in batches:
            yield batch
        if end is not None:
            raise end


def listing(revision: int, **entries: bytes) -> Listing:
    return Listing(entries=entries, revision=revision)


AWAY = StoreUnavailable("away")
ENDINGS = [
    pytest.param(None, id="ended by the server"),
    pytest.param(AWAY, id="connection lost"),
    pytest.param(ValueError("surprise"), id="unexpected"),
]


@pytest.mark.parametrize("end", ENDINGS)
async def test_a_watch_lists_and_follows_again_however_it_ended(end, caplog):
    client = ScriptedWatching(
        lists=[AWAY, AWAY, listing(9, a=b"3")],
        follows=[[{"a": b"2"}, {"b": b"1"}, end]],
    )
    watch = EtcdWatch(client, "", listing=listing(4, a=b"1"))
    async with asyncio.timeout(5):
        async for entries in watch.changes():
            if entries == {"a": b"3"}:
                break
        while len(client.followed_from) < 2:  # noqa: ASYNC110 - a list, not an event
            await asyncio.sleep(0)
    assert client.followed_from == [5, 10]
    errors = [record for record in caplog.records if record.levelno >= logging.ERROR]
    assert len(errors) == isinstance(end, ValueError)
    await watch.close()


async def test_a_watch_lists_again_now_and_then_even_when_nothing_ends(monkeypatch):
    monkeypatch.setattr(etcd_watch, "RELIST_SECONDS", 0.01)
    client = ScriptedWatching(lists=[listing(9, a=b"missed")] * 100, follows=[])
    watch = EtcdWatch(client, "", listing=listing(4))
    async with asyncio.timeout(5):
        async for entries in watch.changes():
            if entries == {"a": b"missed"}:
                break
    await watch.close()


class ScriptedLeases:
    """An etcd in a dictionary, whose lease can be gone and whose puts can be held up."""

    def __init__(self):
        self.healthy = True
        self.entries: dict[str, tuple[bytes, int]] = {}
        self.live: set[int] = set()
        self.away = False
        self.hold: asyncio.Event | None = None
        self._last = 0

    async def grant(self, ttl):
        self._require()
        self._last += 1
        self.live.add(self._last)
        return self._last

    async def keep_alive(self, lease):
        self._require(lease)

    async def put(self, key, value, *, lease=0):
        if self.hold is not None:
            await self.hold.wait()
        self._require(lease)
        self.entries[key] = (value, lease)

    async def put_absent(self, key, value, *, lease=0):
        self._require(lease)
        return self.entries.setdefault(key, (value, lease)) == (value, lease)

    async def delete(self, key):
        self._require()
        self.entries.pop(key, None)

    async def revoke(self, lease):
        self._require(lease)
        self.live.discard(lease)
        self.entries = {key: each for key, each in self.entries.items() if each[1] != lease}

    def _require(self, lease: int | None = None) -> None:
        if self.away:
            raise AWAY
        if lease is not None and lease not in self.live:
            raise LeaseGone


@pytest.fixture
async def etcd():
    return ScriptedLeases()


@pytest.fixture
async def leased(etcd):
    keys = LeasedKeys(etcd, ttl=40)
    await keys.start()
    yield keys
    await keys.close()


async def test_a_value_wanted_while_another_is_being_written_is_written_too(etcd, leased):
    etcd.hold = asyncio.Event()
    first = asyncio.create_task(leased.put("a", b"1"))
    await asyncio.sleep(0)
    second = asyncio.create_task(leased.put("a", b"2"))
    await asyncio.sleep(0)
    etcd.hold.set()
    await asyncio.gather(first, second)
    assert etcd.entries == {"a": (b"2", 1)}


async def test_a_write_under_a_lost_lease_takes_all_keys_to_the_next(etcd, leased):
    await leased.put("a", b"1")
    await leased.put("b", b"2")
    await leased.delete("b")
    await etcd.revoke(1)
    await leased.put("c", b"3")
    assert etcd.entries == {"a": (b"1", 2), "c": (b"3", 2)}
    await etcd.revoke(2)
    assert await leased.create("d", b"4")
    await leased.put("a", b"5")
    assert etcd.entries == {"a": (b"5", 3), "c": (b"3", 3), "d": (b"4", 3)}


async def test_writes_that_failed_are_made_by_the_keeper(etcd, leased):
    await leased.put("a", b"1")
    etcd.away = True
    for call in (leased.put("b", b"2"), leased.delete("a")):
        with pytest.raises(StoreUnavailable):
            await call
    etcd.away = False
    await leased._refresh()
    assert etcd.entries == {"b": (b"2", 1)}


async def test_a_lease_that_cannot_be_revoked_is_left_to_its_time(etcd, leased, caplog):
    etcd.away = True
    await leased.close()
    assert [record.levelname for record in caplog.records] == ["WARNING"]


ADDRESSES = [
    pytest.param("etcd://10.0.0.1:2379", "10.0.0.1:2379", id="etcd"),
    pytest.param("http://etcd:4001", "etcd:4001", id="http"),
    pytest.param("etcd:4001", "etcd:4001", id="bare"),
    pytest.param("etcd://etcd", "etcd:2379", id="default port"),
    pytest.param("etcd://[::1]:99", "[::1]:99", id="IPv6"),
]


@pytest.mark.parametrize(("endpoint", "address"), ADDRESSES)
def test_an_endpoint_names_an_address(endpoint, address):
    assert _address(endpoint) == address


@pytest.mark.parametrize("endpoint", ["", "etcd://", "etcd://x:port", "etcd://x:99999"])
async def test_an_endpoint_without_an_address_is_refused(endpoint):
    with pytest.raises(StoreUnavailable, match="expected etcd://host:port"):
        await EtcdStore.connect(endpoint)


RANGES = [(b"", b"\0"), (b"a", b"b"), (b"a\xff", b"b"), (b"\xff", b"\0"), (b"a/", b"a0")]


@pytest.mark.parametrize(("prefix", "end"), RANGES)
def test_the_end_of_a_prefix_is_the_first_key_behind_it(prefix, end):
    assert _range_end(prefix) == end
