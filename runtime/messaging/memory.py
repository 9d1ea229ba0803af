"""A request plane inside one process: for tests and for deployments of one process."""

import asyncio
from collections import deque
from collections.abc import Callable
from functools import partial

from runtime.errors import MessagingUnavailable, NoResponders
from runtime.messaging.handlers import Handler, Handlers


class MemoryExchange:
    """What several planes share: who serves which subject.

    Set `available` to False to let the plane be away.
    """

    def __init__(self) -> None:
        self.available = True
        self._served: dict[str, deque[MemorySubscription]] = {}
        self._heard: dict[str, list[MemorySubscription]] = {}

    def attach(self, subscription: "MemorySubscription") -> None:
        """Deliver to *subscription* from here on."""
        self._served.setdefault(subscription.subject, deque()).append(subscription)

    def detach(self, subscription: "MemorySubscription") -> None:
        """Deliver nothing more to *subscription*; twice is fine."""
        served = self._served.get(subscription.subject)
        if served is not None and subscription in served:
            served.remove(subscription)

    def deliver(self, subject: str, message: bytes) -> bool:
        """Hand *message* to one of those that serve *subject*, in turn; False when nobody does."""
        served = self._served.get(subject)
        if not served:
            return False
        served.rotate(-1)
        served[-1].receive(message)
        return True

    def hear(self, hearing: "MemorySubscription") -> None:
        """Let *hearing* receive what is published from here on."""
        self._heard.setdefault(hearing.subject, []).append(hearing)

    def ignore(self, hearing: "MemorySubscription") -> None:
        """Let it receive nothing more; twice is fine."""
        heard = self._heard.get(hearing.subject)
        if heard is not None and hearing in heard:
            heard.remove(hearing)

    def publish(self, subject: str, message: bytes) -> None:
        """Hand *message* to all who listen to *subject*."""
        for hearing in tuple(self._heard.get(subject, ())):
            hearing.receive(message)


class MemorySubscription:
    """One who receives what is sent or published on one subject, until it is closed."""

    def __init__(
        self,
        subject: str,
        *,
        receive: Callable[[bytes], None],
        leave: Callable[["MemorySubscription"], None],
    ) -> None:
        self.subject = subject
        self.receive = receive
        self._leave = leave

    async def close(self) -> None:
        """Take nothing new."""
        self._leave(self)


class MemoryPlane:
    """One process' connection to an exchange."""

    def __init__(self, exchange: MemoryExchange | None = None) -> None:
        self._exchange = exchange if exchange is not None else MemoryExchange()
        self._subscriptions: list[MemorySubscription] = []
        self._handlers = Handlers()
        self._closed = False

    @property
    def healthy(self) -> bool:
        """Whether the plane is connected."""
        return self._exchange.available and not self._closed

    async def serve(self, subject: str, handler: Handler) -> MemorySubscription:
        """Call *handler* with every message sent to *subject*. Raises MessagingUnavailable."""
        self._require()
        receive = partial(self._handlers.start, handler)
        subscription = MemorySubscription(subject, receive=receive, leave=self._exchange.detach)
        self._exchange.attach(subscription)
        self._subscriptions.append(subscription)
        return subscription

    async def send(self, subject: str, message: bytes, *, timeout: float) -> None:  # noqa: ARG002 - accepts at once
        """Deliver *message*. Raises NoResponders, MessagingUnavailable."""
        self._require()
        if not self._exchange.deliver(subject, message):
            raise NoResponders(f"nobody serves {subject}")
        await asyncio.sleep(0)

    async def subscribe(self, subject: str, receive: Callable[[bytes], None]) -> MemorySubscription:
        """Call *receive* with every message published on *subject*. Raises MessagingUnavailable."""
        self._require()
        hearing = MemorySubscription(subject, receive=receive, leave=self._exchange.ignore)
        self._exchange.hear(hearing)
        self._subscriptions.append(hearing)
        return hearing

    async def publish(self, subject: str, message: bytes) -> None:
        """Send *message* to all who listen. Raises MessagingUnavailable."""
        self._require()
        self._exchange.publish(subject, message)
        await asyncio.sleep(0)

    async def close(self) -> None:
        """Take nothing new and cancel the handlers that still run."""
        self._closed = True
        for subscription in self._subscriptions:
            await subscription.close()
        await self._handlers.close()

    def _require(self) -> None:
        if not self.healthy:
            raise MessagingUnavailable("the memory request plane is closed or away")
