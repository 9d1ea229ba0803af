"""The instances of one endpoint, as the store lists them and as requests have found them."""

import asyncio
import logging
from collections.abc import AsyncIterator, Collection, Mapping

import msgspec

from runtime.errors import NoInstances
from runtime.instance import InstanceRecord, decode_record
from runtime.ports import Watch

log = logging.getLogger(__name__)

DOWN_SECONDS = 3.0


class Instances:
    """Follows a watch. An instance found dead is passed over until its record changes.

    A mark also ends after a few seconds: the next request that fails renews it.
    """

    def __init__(self, watch: Watch, *, down_seconds: float = DOWN_SECONDS) -> None:
        self._watch = watch
        self._down_seconds = down_seconds
        self._loop = asyncio.get_running_loop()
        self._values: Mapping[str, bytes] = {}
        self._records: dict[str, InstanceRecord] = {}
        self._ready: tuple[InstanceRecord, ...] = ()
        self._down: dict[int, float] = {}
        self._changed = asyncio.Event()
        self._take(watch.entries)
        self._following = asyncio.create_task(self._follow())

    @property
    def ready(self) -> tuple[InstanceRecord, ...]:
        """Return those that take requests, by ascending id."""
        return self._ready

    @property
    def all(self) -> tuple[InstanceRecord, ...]:
        """Return every one that is listed, by ascending id."""
        return tuple(sorted(self._records.values(), key=_id))

    def named(self, instance_id: int) -> tuple[InstanceRecord, ...]:
        """Return that instance if it is ready, also when it was found dead a moment ago."""
        return tuple(record for record in self._ready if record.instance_id == instance_id)

    def candidates(self, exclude: Collection[int]) -> tuple[InstanceRecord, ...]:
        """Return those ready and not in *exclude*: those not found dead, else all of them."""
        ready = self._ready
        if exclude:
            ready = tuple(record for record in ready if record.instance_id not in exclude)
        if not self._down:
            return ready
        now = self._loop.time()
        self._down = {found: until for found, until in self._down.items() if until > now}
        return tuple(record for record in ready if record.instance_id not in self._down) or ready

    def mark_down(self, record: InstanceRecord) -> None:
        """Pass *record* over for a while."""
        self._down[record.instance_id] = self._loop.time() + self._down_seconds
        log.info("instance passed over key=%s", record.key)

    async def wait(self, count: int, *, timeout: float) -> None:
        """Return once *count* are ready; NoInstances after *timeout* seconds."""
        try:
            async with asyncio.timeout(timeout):
                while len(self._ready) < count:
                    await self._changed.wait()
        except TimeoutError:
            found = len(self._ready)
            raise NoInstances(f"{found} of {count} instances within {timeout:g} s") from None

    async def changes(self) -> AsyncIterator[tuple[InstanceRecord, ...]]:
        """Yield `all`, now and after changes; several at once are one."""
        while True:
            changed = self._changed
            yield self.all
            await changed.wait()

    async def close(self) -> None:
        """Stop following."""
        self._following.cancel()
        await asyncio.gather(self._following, return_exceptions=True)
        await self._watch.close()

    async def _follow(self) -> None:
        async for entries in self._watch.changes():
            self._take(entries)

    def _take(self, entries: Mapping[str, bytes]) -> None:
        for key in self._values.keys() | entries.keys():
            if self._values.get(key) != entries.get(key):
                self._replace(key, entries.get(key))
        self._values = entries
        ready = (record for record in self._records.values() if record.is_ready)
        self._ready = tuple(sorted(ready, key=_id))
        self._changed.set()
        self._changed = asyncio.Event()

    def _replace(self, key: str, value: bytes | None) -> None:
        old = self._records.pop(key, None)
        if old is not None:
            self._down.pop(old.instance_id, None)
        if value is None:
            return
        try:
            self._records[key] = decode_record(value)
        except msgspec.DecodeError as error:
            log.warning("instance record ignored key=%s reason=%s", key, error)


def _id(record: InstanceRecord) -> int:
    return record.instance_id
