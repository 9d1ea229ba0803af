"""One connection to a NATS server, with requests that fail fast: under the plane and the queue."""

import asyncio
import logging
from collections import defaultdict, deque
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from itertools import chain, count

from nats.aio.client import Client
from nats.aio.msg import Msg
from nats.errors import Error as NatsError
from nats.errors import MaxPayloadError

from runtime.errors import DeadlineExceeded, InvalidRequest, MessagingUnavailable, NoResponders

RECONNECT_WAIT = 1.0
"""Seconds that a request waits for a connection that is being restored."""

_NO_RESPONDERS = "503"

log = logging.getLogger(__name__)


class NatsLink:
    """A connection that is restored for ever, and replies that are awaited on it.

    A request in flight when the connection is lost fails at once, and what the connection had
    not written by then is dropped: nothing is delivered after its sender has given it up.
    """

    def __init__(self, url: str) -> None:
        self.url = url
        self.client = Client()
        self._connected = asyncio.Event()
        self._closing = False
        self._awaited: dict[str, deque[asyncio.Future[Msg | None]]] = defaultdict(deque)
        self._numbers = count()
        self._inbox = ""

    @classmethod
    async def connect(cls, url: str, *, timeout: float = 5.0) -> "NatsLink":
        """Return a link to *url*. Raises MessagingUnavailable after *timeout* seconds."""
        link = cls(url)
        try:
            async with asyncio.timeout(timeout):
                await link._open()
        except (TimeoutError, OSError, NatsError):
            await link.close()
            raise MessagingUnavailable(f"NATS at {url} does not answer") from None
        return link

    @property
    def healthy(self) -> bool:
        """Whether the server is connected."""
        return self.client.is_connected

    async def ready(self, *, within: float = RECONNECT_WAIT) -> None:
        """Return once connected. Raises MessagingUnavailable after *within* seconds."""
        if self.client.is_connected:
            return
        try:
            async with asyncio.timeout(0 if self._closing else within):
                await self._connected.wait()
        except TimeoutError:
            raise MessagingUnavailable(f"NATS at {self.url} is away") from None

    async def request(
        self,
        subject: str,
        payload: bytes,
        *,
        timeout: float,
        headers: Mapping[str, str] | None = None,
        answered_on: str | None = None,
    ) -> Msg:
        """Return the reply to *payload* on *subject*.

        JetStream delivers an item under the item's own subject: *answered_on*, if given.
        Raises NoResponders when nobody listens there, MessagingUnavailable while the server is
        away, DeadlineExceeded after *timeout* seconds, InvalidRequest for too large a payload.
        """
        await self.ready(within=min(timeout, RECONNECT_WAIT))
        reply_to = f"{self._inbox}{next(self._numbers)}"
        try:
            async with asyncio.timeout(timeout):
                with self._expected(reply_to, answered_on) as future:
                    await self._publish(subject, payload, reply=reply_to, headers=headers)
                    reply = await future
        except TimeoutError:
            raise DeadlineExceeded(f"{subject} did not reply within {timeout:g} s") from None
        return self._checked(reply, subject)

    async def publish(self, subject: str, payload: bytes) -> None:
        """Send *payload*, without knowing whether it arrives. Raises MessagingUnavailable."""
        await self.ready()
        await self._publish(subject, payload, reply="", headers=None)

    async def close(self) -> None:
        """Disconnect; requests in flight fail."""
        self._closing = True
        await self.client.close()
        self._fail_awaited()

    async def _open(self) -> None:
        await self.client.connect(
            self.url,
            max_reconnect_attempts=-1,
            reconnect_time_wait=0.2,  # type: ignore[arg-type] # any number of seconds
            connect_timeout=2,
            ping_interval=5,
            max_outstanding_pings=2,
            pending_size=0,  # publishing while disconnected is refused, not kept for later
            disconnected_cb=self._on_lost,
            reconnected_cb=self._on_restored,
            closed_cb=self._on_closed,
            error_cb=self._on_error,
        )
        self._inbox = self.client.new_inbox() + "."
        await self.client.subscribe(self._inbox + "*", cb=self._on_reply)
        self._connected.set()

    @contextmanager
    def _expected(self, *subjects: str | None) -> Iterator[asyncio.Future[Msg | None]]:
        """Give the next message on any of *subjects*, or None when the connection is lost."""
        future: asyncio.Future[Msg | None] = asyncio.get_running_loop().create_future()
        keys = [subject for subject in subjects if subject is not None]
        for key in keys:
            self._awaited[key].append(future)
        try:
            yield future
        finally:
            for key in keys:
                self._awaited[key].remove(future)
                if not self._awaited[key]:
                    del self._awaited[key]

    async def _publish(
        self, subject: str, payload: bytes, *, reply: str, headers: Mapping[str, str] | None
    ) -> None:
        try:
            await self.client.publish(
                subject, payload, reply=reply, headers=dict(headers) if headers else None
            )
        except MaxPayloadError:
            limit = self.client.max_payload
            raise InvalidRequest(
                f"message of {len(payload)} bytes is above the limit of {limit} of NATS"
            ) from None
        except NatsError as error:
            raise MessagingUnavailable(f"NATS at {self.url}: {error}") from None

    def _checked(self, reply: Msg | None, subject: str) -> Msg:
        if reply is None:
            raise MessagingUnavailable(f"the connection to NATS at {self.url} was lost")
        if reply.headers and not reply.data and reply.headers.get("Status") == _NO_RESPONDERS:
            raise NoResponders(f"nobody serves {subject}")
        return reply

    async def _on_reply(self, message: Msg) -> None:
        for future in self._awaited.get(message.subject, ()):
            if not future.done():
                future.set_result(message)
                return
        if message.reply:
            # Only a work item can be answered in turn, and nobody waits for this one any more.
            await message.nak()

    async def _on_lost(self) -> None:
        self._connected.clear()
        # The client would write what it still holds after the reconnect, whoever waits for it.
        self.client._pending.clear()  # noqa: SLF001 - no public way to drop it
        self.client._pending_data_size = 0  # noqa: SLF001
        self._fail_awaited()
        if not self._closing:
            log.warning("nats connection lost url=%s", self.url)

    async def _on_restored(self) -> None:
        self._connected.set()
        log.info("nats connection restored url=%s", self.url)

    async def _on_closed(self) -> None:
        if not self._closing:
            log.error("nats refuses this client url=%s error=%r", self.url, self.client.last_error)

    async def _on_error(self, error: Exception) -> None:
        log.debug("nats client error url=%s error=%r", self.url, error)

    def _fail_awaited(self) -> None:
        for future in chain.from_iterable(self._awaited.values()):
            if not future.done():
                future.set_result(None)
