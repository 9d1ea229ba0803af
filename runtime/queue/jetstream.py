"""A work queue on NATS JetStream: a work-queue stream on disk and one durable pull consumer.

Requests go over the link, which fails them at once when the server is lost; the SDK's own would
wait for their whole time. An item that reaches a pull which was given up goes back at once.
"""

import asyncio
import json
import re
import zlib
from collections.abc import Mapping
from typing import Any

from nats.aio.msg import Msg
from nats.errors import Error as NatsError
from nats.js.api import (
    AckPolicy,
    ConsumerConfig,
    RetentionPolicy,
    StorageType,
    StreamConfig,
)

from runtime.errors import DeadlineExceeded, MessagingUnavailable, NoResponders
from runtime.messaging.link import NatsLink

CONSUMER = "workers"
DEDUPLICATION_SECONDS = 120.0
CALL_SECONDS = 2.0
"""The longest that a push, an acknowledgement or a look at the depth takes."""

_PULL_GRACE = 0.2  # for the server to say that there was none
_PAUSE = 0.1


class JetStreamDelivery:
    """One item in the hands of a puller."""

    def __init__(self, link: NatsLink, message: Msg) -> None:
        self._link = link
        self._message = message
        self._attempt = message.metadata.num_delivered

    @property
    def body(self) -> bytes:
        """The item."""
        return self._message.data

    @property
    def attempt(self) -> int:
        """1 for the first delivery."""
        return self._attempt

    async def ack(self) -> None:
        """Never deliver it again; once more when the server was lost meanwhile.

        Raises MessagingUnavailable when it was not confirmed: the item may come back.
        """
        try:
            async with asyncio.timeout(CALL_SECONDS):
                await self._confirm()
        except (TimeoutError, NoResponders, DeadlineExceeded):
            raise MessagingUnavailable("the acknowledgement was not confirmed") from None

    async def in_progress(self) -> None:
        """Start the redelivery timer afresh. Raises MessagingUnavailable."""
        await self._link.publish(self._message.reply, Msg.Ack.Progress)

    async def retry(self) -> None:
        """Give it back at once. Raises MessagingUnavailable."""
        await self._link.publish(self._message.reply, Msg.Ack.Nak)

    async def _confirm(self) -> None:
        try:
            await self._link.request(self._message.reply, Msg.Ack.Ack, timeout=CALL_SECONDS)
        except MessagingUnavailable:
            await self._link.request(self._message.reply, Msg.Ack.Ack, timeout=CALL_SECONDS)


class JetStreamQueue:
    """One process' handle on a queue; items not acknowledged for *ack_wait* seconds come back.

    Items outlive a kill of the server, which may however forget its latest deliveries and
    acknowledgements: an item can come back once more, with its attempts counted too low. Stream
    and consumer are made anew when they are gone.
    """

    def __init__(
        self, link: NatsLink, name: str, *, ack_wait: float = 10.0, owns_link: bool = False
    ) -> None:
        self._link = link
        self._ack_wait = ack_wait
        self._owns_link = owns_link
        self._stream = stream_name(name)
        self._subject = f"queue.{self._stream}"
        self._pulls: set[asyncio.Task[JetStreamDelivery | None]] = set()
        self._closed = False

    async def open(self) -> None:
        """Make the stream and its consumer unless they exist. Raises MessagingUnavailable."""
        await self._link.ready()
        admin = self._link.client.jetstream(timeout=CALL_SECONDS)
        try:
            await admin.add_stream(
                StreamConfig(
                    name=self._stream,
                    subjects=[self._subject],
                    retention=RetentionPolicy.WORK_QUEUE,
                    storage=StorageType.FILE,
                    duplicate_window=DEDUPLICATION_SECONDS,
                )
            )
            await admin.add_consumer(
                self._stream,
                ConsumerConfig(
                    durable_name=CONSUMER,
                    ack_policy=AckPolicy.EXPLICIT,
                    ack_wait=self._ack_wait,
                    max_deliver=-1,
                ),
            )
        except NatsError as error:
            raise MessagingUnavailable(f"work queue {self._stream}: {error}") from None

    async def push(self, body: bytes, *, item_id: str) -> None:
        """Add an item, once an *item_id* in two minutes.

        Raises MessagingUnavailable within two seconds; push again under the same *item_id*, for
        the item may have been added nevertheless.
        """
        await self._ask(self._subject, body, headers={"Nats-Msg-Id": item_id})

    async def pull(self, *, timeout: float) -> JetStreamDelivery | None:
        """Return the next item, or None after *timeout* seconds. Raises MessagingUnavailable."""
        self._require()
        task = asyncio.create_task(self._pull(timeout))
        self._pulls.add(task)
        try:
            return await task
        except asyncio.CancelledError:
            if self._closed and task.cancelled() and not _is_cancelled():
                return None
            raise
        finally:
            self._pulls.discard(task)

    async def depth(self) -> int:
        """Return the items waiting and being worked on. Raises MessagingUnavailable."""
        info = await self._ask(f"$JS.API.STREAM.INFO.{self._stream}", b"")
        return int(info["state"]["messages"])

    async def close(self) -> None:
        """Stop pulling, and disconnect if the connection is this queue's own."""
        self._closed = True
        for task in self._pulls:
            task.cancel()
        if self._owns_link:
            await self._link.close()

    async def _ask(
        self, subject: str, payload: bytes, *, headers: Mapping[str, str] | None = None
    ) -> dict[str, Any]:
        """Return the answer to a question, asked again after making a stream that is gone."""
        self._require()
        try:
            async with asyncio.timeout(CALL_SECONDS):
                try:
                    return await self._answer(subject, payload, headers=headers)
                except NoResponders:
                    await self.open()
                    return await self._answer(subject, payload, headers=headers)
        except (TimeoutError, NoResponders, DeadlineExceeded):
            raise MessagingUnavailable(f"work queue {self._stream} does not answer") from None

    async def _answer(
        self, subject: str, payload: bytes, *, headers: Mapping[str, str] | None
    ) -> dict[str, Any]:
        reply = await self._link.request(subject, payload, timeout=CALL_SECONDS, headers=headers)
        answer: dict[str, Any] = json.loads(reply.data)
        error = answer.get("error")
        if error is not None and error["code"] == 404:
            raise NoResponders(f"work queue {self._stream} is gone")
        if error is not None:
            raise MessagingUnavailable(f"work queue {self._stream}: {error['description']}")
        return answer

    async def _pull(self, timeout: float) -> JetStreamDelivery | None:
        loop = asyncio.get_running_loop()
        end = loop.time() + timeout
        while True:
            try:
                message = await self._next(max(end - loop.time(), 0.0))
            except NoResponders:
                await self.open()
            else:
                if message is not None:
                    return JetStreamDelivery(self._link, message)
            if loop.time() >= end:
                return None
            await asyncio.sleep(min(_PAUSE, max(end - loop.time(), 0.0)))

    async def _next(self, timeout: float) -> Msg | None:
        """Return the next item, or None when the server says within *timeout* there is none."""
        subject = f"$JS.API.CONSUMER.MSG.NEXT.{self._stream}.{CONSUMER}"
        wish = {"batch": 1, "expires": int(timeout * 1e9)} if timeout else {"no_wait": True}
        payload = json.dumps(wish).encode()
        try:
            message = await self._link.request(
                subject, payload, timeout=timeout + _PULL_GRACE, answered_on=self._subject
            )
        except DeadlineExceeded:
            return None
        return None if "Status" in (message.headers or {}) else message

    def _require(self) -> None:
        if self._closed:
            raise MessagingUnavailable("the work queue is closed")


def stream_name(queue: str) -> str:
    """Return the stream of *queue*; names that JetStream refuses keep apart by a checksum."""
    slug = re.sub(r"[^A-Za-z0-9_-]", "_", queue)
    return slug if slug == queue else f"{slug}-{zlib.crc32(queue.encode()):08x}"


def _is_cancelled() -> bool:
    task = asyncio.current_task()
    return task is not None and task.cancelling() > 0
