"""A work queue inside one process: for tests and for deployments of one process."""

import asyncio
from collections import deque
from dataclasses import dataclass

from runtime.errors import MessagingUnavailable

DEDUPLICATION_SECONDS = 120.0


@dataclass(slots=True, eq=False, kw_only=True)
class _Item:
    item_id: str
    body: bytes
    attempts: int = 0
    timer: asyncio.TimerHandle | None = None

    def stop_timer(self) -> None:
        if self.timer is not None:
            self.timer.cancel()
            self.timer = None


class MemoryQueueBackend:
    """What several handles of one queue share. Set `available` to False to let it be away."""

    def __init__(self) -> None:
        self.available = True
        self.arrived = asyncio.Event()
        self._waiting: deque[_Item] = deque()
        self._working: set[_Item] = set()
        self._seen: dict[str, float] = {}

    def add(self, item_id: str, body: bytes) -> None:
        """Append an item unless its id was added within the last two minutes."""
        now = asyncio.get_running_loop().time()
        self._seen = {
            known: at for known, at in self._seen.items() if now - at < DEDUPLICATION_SECONDS
        }
        if item_id not in self._seen:
            self._seen[item_id] = now
            self._waiting.append(_Item(item_id=item_id, body=body))
            self.arrived.set()

    def take(self, ack_wait: float) -> _Item | None:
        """Return the first item waiting, due back in *ack_wait* seconds, or None."""
        if not self._waiting:
            return None
        item = self._waiting.popleft()
        item.attempts += 1
        self._working.add(item)
        self.start_timer(item, ack_wait)
        return item

    def start_timer(self, item: _Item, ack_wait: float) -> None:
        """Give *item* back in *ack_wait* seconds, if it is still being worked on."""
        if item in self._working:
            item.stop_timer()
            item.timer = asyncio.get_running_loop().call_later(ack_wait, self.give_back, item)

    def give_back(self, item: _Item) -> None:
        """Let *item* be the next one delivered; nothing happens when it is done."""
        if item in self._working:
            item.stop_timer()
            self._working.remove(item)
            self._waiting.appendleft(item)
            self.arrived.set()

    def finish(self, item: _Item) -> None:
        """Forget *item*, wherever it is."""
        item.stop_timer()
        self._working.discard(item)
        if item in self._waiting:
            self._waiting.remove(item)

    def size(self) -> int:
        """Return the items waiting and being worked on."""
        return len(self._waiting) + len(self._working)


class MemoryDelivery:
    """One item in the hands of a puller."""

    def __init__(self, backend: MemoryQueueBackend, item: _Item, *, ack_wait: float) -> None:
        self._backend = backend
        self._item = item
        self._ack_wait = ack_wait
        self._attempt = item.attempts

    @property
    def body(self) -> bytes:
        """The item."""
        return self._item.body

    @property
    def attempt(self) -> int:
        """1 for the first delivery."""
        return self._attempt

    async def ack(self) -> None:
        """Never deliver it again. Raises MessagingUnavailable."""
        _require(self._backend)
        self._backend.finish(self._item)

    async def in_progress(self) -> None:
        """Start the redelivery timer afresh. Raises MessagingUnavailable."""
        _require(self._backend)
        self._backend.start_timer(self._item, self._ack_wait)

    async def retry(self) -> None:
        """Give it back at once. Raises MessagingUnavailable."""
        _require(self._backend)
        self._backend.give_back(self._item)


class MemoryQueue:
    """One process' handle on a queue; items not acknowledged for *ack_wait* seconds come back."""

    def __init__(
        self, backend: MemoryQueueBackend | None = None, *, ack_wait: float = 10.0
    ) -> None:
        self._backend = backend if backend is not None else MemoryQueueBackend()
        self._ack_wait = ack_wait
        self._closed = False

    async def push(self, body: bytes, *, item_id: str) -> None:
        """Add an item, once an *item_id*. Raises MessagingUnavailable."""
        self._require()
        self._backend.add(item_id, body)

    async def pull(self, *, timeout: float) -> MemoryDelivery | None:
        """Return the next item, or None after *timeout* seconds. Raises MessagingUnavailable."""
        self._require()
        try:
            async with asyncio.timeout(timeout):
                return await self._next()
        except TimeoutError:
            return None

    async def depth(self) -> int:
        """Return the items waiting and being worked on. Raises MessagingUnavailable."""
        self._require()
        return self._backend.size()

    async def close(self) -> None:
        """Stop pulling."""
        self._closed = True
        self._backend.arrived.set()

    async def _next(self) -> MemoryDelivery | None:
        while not self._closed:
            item = self._backend.take(self._ack_wait)
            if item is not None:
                return MemoryDelivery(self._backend, item, ack_wait=self._ack_wait)
            self._backend.arrived.clear()
            await self._backend.arrived.wait()
        return None

    def _require(self) -> None:
        if self._closed:
            raise MessagingUnavailable("the work queue is closed")
        _require(self._backend)


def _require(backend: MemoryQueueBackend) -> None:
    if not backend.available:
        raise MessagingUnavailable("the memory work queue is away")
