"""Brings a KV router what the workers of one component tell, and asks them when it missed some."""

import asyncio
import logging
from typing import TYPE_CHECKING, Self

import msgspec

from runtime.errors import RuntimeFault
from runtime.instances import Instances
from runtime.kv_events.messages import decode_news, news_subject, restate_subject
from runtime.ports import RequestPlane
from runtime.router.kv.router import KvRouter

if TYPE_CHECKING:
    from runtime.ports import Subscription

log = logging.getLogger(__name__)

ASK_SECONDS = 1.0
"""How long an answer may take before the same worker is asked again, at its next message."""


class KvFollower:
    """Follows the workers of one component, from `start` to `close`.

    Each is asked for everything when it is found, and again after every gap in what it tells.
    """

    def __init__(
        self,
        plane: RequestPlane,
        router: KvRouter,
        *,
        namespace: str,
        component: str,
        instances: Instances,
    ) -> None:
        self._plane = plane
        self._router = router
        self._namespace = namespace
        self._component = component
        self._instances = instances
        self._loop = asyncio.get_running_loop()
        self._listed: frozenset[int] = frozenset()
        self._asked: dict[int, float] = {}
        self._tasks: set[asyncio.Task[None]] = set()
        self._subscription: Subscription | None = None

    @classmethod
    async def start(
        cls,
        plane: RequestPlane,
        router: KvRouter,
        *,
        namespace: str,
        component: str,
        instances: Instances,
    ) -> Self:
        """Listen, and only then ask. Raises MessagingUnavailable."""
        follower = cls(plane, router, namespace=namespace, component=component, instances=instances)
        subject = news_subject(namespace, component)
        follower._subscription = await plane.subscribe(subject, follower._receive)
        follower._own(asyncio.create_task(follower._follow(), name="kv follower"))
        return follower

    async def close(self) -> None:
        """Listen no more."""
        if self._subscription is not None:
            await self._subscription.close()  # what arrives until then may ask once more
        tasks = tuple(self._tasks)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    async def _follow(self) -> None:
        async for records in self._instances.changes():
            listed = frozenset(record.instance_id for record in records)
            for worker in self._listed - listed:
                self._router.forget(worker)
                self._asked.pop(worker, None)
            found, self._listed = listed - self._listed, listed
            for worker in found:
                self._ask(worker)

    def _receive(self, message: bytes) -> None:
        try:
            news = decode_news(message)
        except msgspec.MsgspecError as error:
            log.warning("kv events not read component=%s reason=%s", self._component, error)
            return
        worker = news.instance_id
        # One that is not listed yet is asked when it is; one that is gone may have a word left.
        if worker in self._listed and not self._router.take(news):
            self._ask(worker)

    def _ask(self, worker: int) -> None:
        now = self._loop.time()
        if now - self._asked.get(worker, -ASK_SECONDS) >= ASK_SECONDS:
            self._asked[worker] = now
            self._own(asyncio.create_task(self._send(worker), name="kv restate"))

    async def _send(self, worker: int) -> None:
        """Ask for everything; one that does not listen tells nothing, and others will soon."""
        subject = restate_subject(self._namespace, self._component, worker)
        try:
            await self._plane.send(subject, b"", timeout=ASK_SECONDS)
        except RuntimeFault as fault:
            log.debug("kv events not asked for subject=%s reason=%s", subject, fault.code)

    def _own(self, task: asyncio.Task[None]) -> None:
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
