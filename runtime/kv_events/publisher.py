"""Publishes what changes in the prefix cache of one worker, to whoever routes by it."""

import asyncio
import logging
import secrets
from collections.abc import Iterator
from typing import TYPE_CHECKING, Self

from runtime.errors import RuntimeFault
from runtime.kv_events.ledger import BlockLedger
from runtime.kv_events.messages import (
    Event,
    KvNews,
    encode_news,
    news_subject,
    restate_subject,
)
from runtime.ports import RequestPlane

if TYPE_CHECKING:
    from runtime.ports import Subscription

log = logging.getLogger(__name__)

GATHER_SECONDS = 0.01
"""How long changes are gathered into one message."""
BEAT_SECONDS = 5.0
"""A worker that has no news says so: whoever missed its last message notices by the number."""
_EVENTS_A_MESSAGE = 3
_EPOCH_BITS = 48


class KvPublisher:
    """Tells what *ledger* is told, from `start` to `close`; tells all of it to who asks.

    Before the first one asks nobody routes by it, and only the beat is heard.
    """

    def __init__(
        self, plane: RequestPlane, ledger: BlockLedger, *, subject: str, instance_id: int
    ) -> None:
        self._plane = plane
        self._ledger = ledger
        self._subject = subject
        self._instance_id = instance_id
        self._epoch = secrets.randbits(_EPOCH_BITS)
        self._number = 0
        self._is_asked = False
        self._wanted = asyncio.Event()
        self._asking: Subscription | None = None
        self._task: asyncio.Task[None] | None = None

    @classmethod
    async def start(
        cls,
        plane: RequestPlane,
        ledger: BlockLedger,
        *,
        namespace: str,
        component: str,
        instance_id: int,
    ) -> Self:
        """Return it once it can be asked. Raises MessagingUnavailable."""
        subject = news_subject(namespace, component)
        publisher = cls(plane, ledger, subject=subject, instance_id=instance_id)
        asked_on = restate_subject(namespace, component, instance_id)
        publisher._asking = await plane.serve(asked_on, publisher._ask)
        ledger.on_change = publisher._wanted.set
        publisher._task = asyncio.create_task(publisher._run(), name="kv publisher")
        return publisher

    async def close(self) -> None:
        """Tell nothing more."""
        if self._task is not None:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)
        if self._asking is not None:
            await self._asking.close()

    async def _ask(self, _message: bytes) -> None:
        self._is_asked = True
        self._wanted.set()

    async def _run(self) -> None:
        while True:
            self._wanted.clear()
            await self._tell()
            try:
                async with asyncio.timeout(BEAT_SECONDS):
                    await self._wanted.wait()
            except TimeoutError:
                continue
            await asyncio.sleep(GATHER_SECONDS)

    async def _tell(self) -> None:
        """Publish what is new, and everything if that was asked for.

        All of it is put together before the first message goes out: what changes meanwhile comes
        after it. A message that cannot be sent is missed by its number.
        """
        messages = list(self._messages())
        try:
            for message in messages:
                await self._plane.publish(self._subject, message)
        except RuntimeFault as fault:
            level = logging.DEBUG if fault.retryable else logging.WARNING
            log.log(level, "kv events not told subject=%s reason=%s", self._subject, fault)

    def _messages(self) -> Iterator[bytes]:
        news, is_asked = self._ledger.news(), self._is_asked
        self._is_asked = False
        if news or not is_asked:
            yield from self._numbered(news, restated=False)
        if is_asked:
            yield from self._numbered(self._ledger.everything(), restated=True)

    def _numbered(self, events: list[Event], *, restated: bool) -> Iterator[bytes]:
        for start in range(0, max(1, len(events)), _EVENTS_A_MESSAGE):
            self._number += 1
            yield encode_news(
                KvNews(
                    instance_id=self._instance_id,
                    epoch=self._epoch,
                    number=self._number,
                    block_size=self._ledger.block_size,
                    events=events[start : start + _EVENTS_A_MESSAGE],
                    restated=restated,
                )
            )
