"""What the runtime needs from the outside: a leased key-value store and a request plane.

Real ones (etcd, NATS) and in-memory ones pass the same contract suites in tests/contract.
"""

from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from typing import Protocol


class Watch(Protocol):
    """A live copy of all keys under a prefix, kept up through disconnects and compaction."""

    @property
    def entries(self) -> Mapping[str, bytes]:
        """The keys and values as last known; kept while the store is away."""
        ...

    def changes(self) -> AsyncIterator[Mapping[str, bytes]]:
        """Yield `entries` at once and then after every change, coalescing bursts."""
        ...

    async def close(self) -> None:
        """Stop watching."""
        ...


class Store(Protocol):
    """Discovery and small shared settings. Keys are slash-separated text, values bytes."""

    @property
    def healthy(self) -> bool:
        """Whether the store answered when it was last asked; it is asked several times a TTL."""
        ...

    async def put(self, key: str, value: bytes, *, leased: bool = False) -> None:
        """Write *key*; a *leased* key goes with this process, back again after a lost lease.

        Raises StoreUnavailable while the store is away. A leased write is not lost by that: it is
        made as soon as the store is back.
        """
        ...

    async def create(self, key: str, value: bytes, *, leased: bool = True) -> bool:
        """Write *key* only if it is absent, atomically; returns whether it was written.

        A key created under a lost lease is not put back: whoever creates it next owns it.
        Raises StoreUnavailable, and then it may have been written: read it.
        """
        ...

    async def get(self, key: str) -> bytes | None:
        """Return the value, or None when there is no such key. Raises StoreUnavailable."""
        ...

    async def delete(self, key: str) -> None:
        """Remove *key*; removing what is not there is fine. Raises StoreUnavailable.

        A key of this process' own lease is never put back afterwards, and when the store is away
        it is removed as soon as that is back.
        """
        ...

    async def watch(self, prefix: str) -> Watch:
        """Return a watch that holds the current entries under *prefix*. Raises StoreUnavailable."""
        ...

    async def close(self) -> None:
        """Revoke the lease, so that leased keys vanish at once, and disconnect."""
        ...


class Subscription(Protocol):
    """Something that receives requests until it is closed."""

    async def close(self) -> None:
        """Take nothing new; what was delivered is still handled."""
        ...


class RequestPlane(Protocol):
    """Requests to exactly one named instance, and news to all who listen; both one-way."""

    @property
    def healthy(self) -> bool:
        """Whether the plane is connected."""
        ...

    async def serve(
        self, subject: str, handler: Callable[[bytes], Awaitable[None]]
    ) -> Subscription:
        """Call *handler* with every message sent to *subject*; a message is accepted on receipt."""
        ...

    async def send(self, subject: str, message: bytes, *, timeout: float) -> None:
        """Deliver *message*; returns once accepted.

        Raises NoResponders at once when nobody serves *subject*, MessagingUnavailable within a
        second while the plane is away, DeadlineExceeded after *timeout* seconds.
        """
        ...

    async def subscribe(self, subject: str, receive: Callable[[bytes], None]) -> Subscription:
        """Call *receive*, which does not raise, with every message published on *subject*.

        Those of one publisher come in order; some are missing after the plane was away.
        """
        ...

    async def publish(self, subject: str, message: bytes) -> None:
        """Send *message* to all who subscribed to *subject*, be it nobody.

        Raises MessagingUnavailable within a second while the plane is away, InvalidRequest for
        too large a message; else it may still be lost.
        """
        ...

    async def close(self) -> None:
        """Disconnect; handlers still running are cancelled."""
        ...


class Delivery(Protocol):
    """One item taken from a work queue; it comes back to the queue unless acknowledged."""

    @property
    def body(self) -> bytes:
        """The item."""
        ...

    @property
    def attempt(self) -> int:
        """1 for the first delivery."""
        ...

    async def ack(self) -> None:
        """Done: never deliver it again. Returns once the queue has confirmed it.

        Raises MessagingUnavailable when it has not: the item may come back.
        """
        ...

    async def in_progress(self) -> None:
        """Still working: start the redelivery timer afresh."""
        ...

    async def retry(self) -> None:
        """Give it back now."""
        ...


class WorkQueue(Protocol):
    """A shared queue from which each item is worked on by one puller at a time."""

    async def push(self, body: bytes, *, item_id: str) -> None:
        """Add an item; the same *item_id* again within two minutes adds nothing.

        Raises MessagingUnavailable within two seconds while the queue is away. The item may have
        been added nevertheless (its confirmation was lost): push again under the same *item_id*.
        """
        ...

    async def pull(self, *, timeout: float) -> Delivery | None:
        """Return the next item, or None when none came within *timeout* seconds.

        Raises MessagingUnavailable while the queue is away.
        """
        ...

    async def depth(self) -> int:
        """Return items waiting plus items delivered and not yet acknowledged.

        Raises MessagingUnavailable while the queue is away.
        """
        ...

    async def close(self) -> None:
        """Stop pulling; a pull that waits returns None, later calls raise MessagingUnavailable."""
        ...
