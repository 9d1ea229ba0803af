"""Replicas that drain before they are let go: told, waited for, and then left out of the number.

That one drains, and since when, is noted at its pod: another planner goes on where this one ended.
"""

import asyncio
import logging
import time
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass

from connectors.kubernetes.objects import DELETION_COST, DRAINING, Member
from connectors.kubernetes.sight import Sight
from connectors.kubernetes.tell import tell_to_drain
from connectors.kubernetes.writes import Writer
from planner.core.role import Role

LEAVES_FIRST: Mapping[str, str | None] = {DELETION_COST: "-1000"}
STAYS: Mapping[str, str | None] = {DELETION_COST: None}
_LOOK_SECONDS = 0.5
_RETRY_SECONDS = 5.0

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class Drain:
    """How replicas leave that do not finish by themselves what they serve.

    They are told and left alone until nothing is inside them, for *seconds* at most; the senders
    of requests get *notice_seconds* to turn elsewhere.
    """

    seconds: float
    notice_seconds: float = 0.0


class Departures:
    """Sees replicas out by *drain*: *release* leaves one out of its role's number, once idle.

    It returns whether that is done; if not it is asked again. *in_flight* tells the requests
    inside a pod by its name, *wall* the seconds of the epoch.
    """

    def __init__(
        self,
        writer: Writer,
        *,
        drain: Drain | None,
        in_flight: Callable[[], Mapping[str, int]],
        release: Callable[[Role, str], Awaitable[bool]],
        wall: Callable[[], float] = time.time,
    ) -> None:
        self._writer = writer
        self._drain = drain
        self._in_flight = in_flight
        self._release = release
        self._wall = wall
        self._tasks: dict[str, asyncio.Task[None]] = {}

    def holds(self, sight: Sight, member: Member) -> bool:
        """Return whether *member* is to drain before it is let go."""
        # Of an ordered kind the last one leaves, whoever drained: so it drains as it ends.
        return self._drain is not None and member.is_ready and not sight.workload.kind.is_ordered

    async def begin(self, role: Role, member: Member) -> None:
        """Mark *member* as draining, and see it out. Raises ScaleRejected."""
        marks = {DRAINING: f"{self._wall():.3f}", **LEAVES_FIRST}
        for pod in member.pods:
            await self._writer.annotate(pod, marks)
        log.info("replica draining name=%s", member.name)
        self.resume(role, member)

    def resume(self, role: Role, member: Member) -> None:
        """See *member* out, unless that is being done."""
        if member.name not in self._tasks:
            task = asyncio.create_task(self._see_out(role, member))
            self._tasks[member.name] = task
            task.add_done_callback(lambda _: self._tasks.pop(member.name, None))

    async def close(self) -> None:
        """Leave those on their way out to whoever looks next."""
        tasks = list(self._tasks.values())
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    async def _see_out(self, role: Role, member: Member) -> None:
        await tell_to_drain(member)
        await self._until_idle(member)
        while not await self._release(role, member.name):  # noqa: ASYNC110 - asks the cluster
            await asyncio.sleep(_RETRY_SECONDS)
        log.info("replica let go name=%s", member.name)

    async def _until_idle(self, member: Member) -> None:
        drain = self._drain or Drain(seconds=0.0)
        began = self._wall() if member.drains_since is None else member.drains_since
        await asyncio.sleep(min(drain.notice_seconds, drain.seconds))
        # Somebody else reads how many are inside, now and then.
        while self._is_busy(member.name) and self._wall() - began < drain.seconds:  # noqa: ASYNC110
            await asyncio.sleep(_LOOK_SECONDS)

    def _is_busy(self, name: str) -> bool:
        # Nobody knows is not nobody is there.
        return self._in_flight().get(name) != 0
