"""A store inside one process: for tests and for deployments of one process."""

from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass

from runtime.discovery.entries import LiveEntries
from runtime.errors import StoreUnavailable


@dataclass(frozen=True, slots=True, kw_only=True)
class _Record:
    value: bytes
    owner: "MemoryStore | None"


class MemoryBackend:
    """What several stores share: the keys, and who watches them."""

    def __init__(self) -> None:
        self._available = True
        self._postponed: list[tuple[MemoryStore, str, bytes | None]] = []
        self._records: dict[str, _Record] = {}
        self._watches: set[MemoryWatch] = set()

    @property
    def available(self) -> bool:
        """Whether the stores answer."""
        return self._available

    def go_away(self) -> None:
        """Let every store fail until `come_back`."""
        self._available = False

    def come_back(self) -> None:
        """Answer again, and make the leased writes that failed meanwhile."""
        self._available = True
        postponed, self._postponed = self._postponed, []
        for owner, key, value in postponed:
            if value is None:
                self.remove(key)
            else:
                self.write(key, value, owner=owner)

    def postpone(self, owner: "MemoryStore", key: str, *, value: bytes | None) -> None:
        """Keep a leased write, or with None a removal, for `come_back`."""
        self._postponed.append((owner, key, value))

    def discard(self, owner: "MemoryStore") -> None:
        """Remove every key that goes with *owner* and what it has postponed."""
        self._postponed = [kept for kept in self._postponed if kept[0] is not owner]
        self.remove(*self.owned(owner))

    def read(self, key: str) -> bytes | None:
        """Return the value of *key*, or None."""
        record = self._records.get(key)
        return None if record is None else record.value

    def write(self, key: str, value: bytes, *, owner: "MemoryStore | None") -> None:
        """Set *key*; it goes with *owner* unless that is None."""
        self._records[key] = _Record(value=value, owner=owner)
        self._tell({key: value})

    def remove(self, *keys: str) -> None:
        """Remove *keys*; watchers see them go in one change."""
        gone = {key: None for key in keys if self._records.pop(key, None)}
        self._tell(gone)

    def owned(self, owner: "MemoryStore") -> dict[str, bytes]:
        """Return the keys that go with *owner*."""
        return {key: held.value for key, held in self._records.items() if held.owner is owner}

    def watch(self, prefix: str) -> "MemoryWatch":
        """Return a watch on *prefix*."""
        found = {key: held.value for key, held in self._records.items() if key.startswith(prefix)}
        watch = MemoryWatch(self, prefix, entries=found)
        self._watches.add(watch)
        return watch

    def forget(self, watch: "MemoryWatch") -> None:
        """Tell *watch* nothing any more."""
        self._watches.discard(watch)

    def _tell(self, changes: Mapping[str, bytes | None]) -> None:
        for watch in self._watches:
            watch.tell(changes)


class MemoryWatch:
    """A watch on a memory backend."""

    def __init__(
        self, backend: MemoryBackend, prefix: str, *, entries: Mapping[str, bytes]
    ) -> None:
        self._backend = backend
        self._prefix = prefix
        self._live = LiveEntries(entries)

    @property
    def entries(self) -> Mapping[str, bytes]:
        """The keys and values as last known."""
        return self._live.entries

    def changes(self) -> AsyncIterator[Mapping[str, bytes]]:
        """Yield the entries at once and after every change."""
        return self._live.changes()

    async def close(self) -> None:
        """Stop watching."""
        self._backend.forget(self)
        self._live.finish()

    def tell(self, changes: Mapping[str, bytes | None]) -> None:
        """Take over those of *changes* that are under the prefix."""
        mine = {key: value for key, value in changes.items() if key.startswith(self._prefix)}
        self._live.update(mine)


class MemoryStore:
    """One process' view of a backend, with a lease of its own."""

    def __init__(self, backend: MemoryBackend | None = None) -> None:
        self._backend = backend if backend is not None else MemoryBackend()
        self._closed = False

    @property
    def healthy(self) -> bool:
        """Whether the store answers."""
        return self._backend.available and not self._closed

    async def put(self, key: str, value: bytes, *, leased: bool = False) -> None:
        """Write *key*. Raises StoreUnavailable; a leased write is then made later."""
        if leased and not self._backend.available:
            self._backend.postpone(self, key, value=value)
        self._require()
        self._backend.write(key, value, owner=self if leased else None)

    async def create(self, key: str, value: bytes, *, leased: bool = True) -> bool:
        """Write *key* if it is absent; returns whether it was written. Raises StoreUnavailable."""
        self._require()
        if self._backend.read(key) is not None:
            return False
        self._backend.write(key, value, owner=self if leased else None)
        return True

    async def get(self, key: str) -> bytes | None:
        """Return the value, or None. Raises StoreUnavailable."""
        self._require()
        return self._backend.read(key)

    async def delete(self, key: str) -> None:
        """Remove *key*. Raises StoreUnavailable; an own leased key is then removed later."""
        if not self._backend.available and key in self._backend.owned(self):
            self._backend.postpone(self, key, value=None)
        self._require()
        self._backend.remove(key)

    async def watch(self, prefix: str) -> MemoryWatch:
        """Return a watch on *prefix*. Raises StoreUnavailable."""
        self._require()
        return self._backend.watch(prefix)

    async def close(self) -> None:
        """Remove the leased keys and refuse everything from here on."""
        self.expire()

    def expire(self) -> None:
        """Let the process of this store be dead: its leased keys vanish, it acts no more."""
        self._closed = True
        self._backend.discard(self)

    def _require(self) -> None:
        if not self.healthy:
            raise StoreUnavailable("the memory store is closed or away")
