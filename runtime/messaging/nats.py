"""The request plane over NATS: one subject per instance, the reply is the acceptance."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING

from nats.aio.msg import Msg
from nats.errors import Error as NatsError

from runtime.errors import MessagingUnavailable
from runtime.messaging.handlers import Handler, Handlers
from runtime.messaging.link import NatsLink

if TYPE_CHECKING:
    from nats.aio.subscription import Subscription as NatsSubscription

_DRAIN_SECONDS = 1.0
_ACCEPTED = b""


class NatsListening:
    """One callback on one subject, until closed; *group* shares messages among its members."""

    def __init__(
        self, link: NatsLink, receive: Callable[[Msg], Awaitable[None]], *, group: str
    ) -> None:
        self._link = link
        self._receive = receive
        self._group = group
        self._subscription: NatsSubscription | None = None

    async def start(self, subject: str) -> None:
        """Return once messages to *subject* arrive here. Raises MessagingUnavailable."""
        await self._link.ready()
        client = self._link.client
        try:
            async with asyncio.timeout(_DRAIN_SECONDS):
                self._subscription = await client.subscribe(
                    subject, queue=self._group, cb=self._receive
                )
                # The client lets a ping overtake what it has not written yet, so the answer to
                # the first one proves nothing about the subscription; that to the second does.
                await client.flush()
                await client.flush()
        except (NatsError, TimeoutError) as error:
            raise MessagingUnavailable(f"NATS at {self._link.url}: cannot serve: {error}") from None

    async def close(self) -> None:
        """Take nothing new; what has arrived is still accepted and handled."""
        subscription, self._subscription = self._subscription, None
        if subscription is None:
            return
        try:
            async with asyncio.timeout(_DRAIN_SECONDS):
                if self._link.healthy:
                    await subscription.drain()  # type: ignore[no-untyped-call]
                else:
                    await subscription.unsubscribe()
        except (NatsError, TimeoutError):
            # The server went away meanwhile: there is nothing left to arrive.
            pass


class NatsPlane:
    """A connection to NATS that serves and sends."""

    def __init__(self, link: NatsLink) -> None:
        self.link = link
        self._handlers = Handlers()

    @classmethod
    async def connect(cls, url: str, *, timeout: float = 5.0) -> "NatsPlane":
        """Return a plane on the server at *url*. Raises MessagingUnavailable after *timeout* s."""
        return cls(await NatsLink.connect(url, timeout=timeout))

    @property
    def healthy(self) -> bool:
        """Whether the server is connected."""
        return self.link.healthy

    async def serve(self, subject: str, handler: Handler) -> NatsListening:
        """Call *handler* with every message sent to *subject*. Raises MessagingUnavailable."""

        async def receive(message: Msg) -> None:
            try:
                await message.respond(_ACCEPTED)
            except NatsError:
                return  # not accepted, so not handled: its sender tries elsewhere
            self._handlers.start(handler, message.data)

        # A queue group of one name: exactly one of those that serve a subject gets it.
        serving = NatsListening(self.link, receive, group="one")
        await serving.start(subject)
        return serving

    async def subscribe(self, subject: str, receive: Callable[[bytes], None]) -> NatsListening:
        """Call *receive* with every message published on *subject*. Raises MessagingUnavailable."""

        async def take(message: Msg) -> None:
            receive(message.data)

        listening = NatsListening(self.link, take, group="")
        await listening.start(subject)
        return listening

    async def publish(self, subject: str, message: bytes) -> None:
        """Send *message* to all who listen. Raises MessagingUnavailable, InvalidRequest."""
        await self.link.publish(subject, message)

    async def send(self, subject: str, message: bytes, *, timeout: float) -> None:
        """Deliver *message*; returns once accepted.

        Raises NoResponders, MessagingUnavailable, DeadlineExceeded, InvalidRequest (too large).
        After any but the first the message may have been accepted nevertheless, at most once:
        the receiver finds out when it opens the response stream.
        """
        await self.link.request(subject, message, timeout=timeout)

    async def close(self) -> None:
        """Disconnect and cancel the handlers that still run."""
        await self._handlers.close()
        await self.link.close()
