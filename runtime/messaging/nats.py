"""The request plane over NATS: one subject per instance, the reply is the acceptance."""

import asyncio
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


class NatsServing:
    """One handler on one subject, until closed."""

    def __init__(self, link: NatsLink, handlers: Handlers, *, handler: Handler) -> None:
        self._link = link
        self._handlers = handlers
        self._handler = handler
        self._subscription: NatsSubscription | None = None

    async def start(self, subject: str) -> None:
        """Return once messages to *subject* arrive here. Raises MessagingUnavailable."""
        await self._link.ready()
        client = self._link.client
        try:
            async with asyncio.timeout(_DRAIN_SECONDS):
                # A queue group of one name: exactly one of those that serve a subject gets it.
                self._subscription = await client.subscribe(subject, queue="one", cb=self._receive)
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

    async def _receive(self, message: Msg) -> None:
        try:
            await message.respond(_ACCEPTED)
        except NatsError:
            return  # not accepted, so not handled: its sender tries elsewhere
        self._handlers.start(self._handler, message.data)


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

    async def serve(self, subject: str, handler: Handler) -> NatsServing:
        """Call *handler* with every message sent to *subject*. Raises MessagingUnavailable."""
        serving = NatsServing(self.link, self._handlers, handler=handler)
        await serving.start(subject)
        return serving

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
