"""How a process of the deployment leaves: forgotten by circus, asked to finish, killed if it won't.

Workers are asked at once: they take nothing new and finish by themselves. A server of another make
may drop what it serves, so it is left alone until it has nothing.

All of it happens outside circus, whose one lock a slow ending would hold.
"""

import asyncio
import contextlib
import os
import signal
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from typing import Protocol

from connectors.circus.client import CircusClient
from connectors.circus.processes import send
from planner.errors import MetricsUnavailable

_LOOK_SECONDS = 0.2


class Departure(Protocol):
    """How a replica leaves."""

    @property
    def resumes(self) -> bool:
        """Whether one that a planner left on its way out, when it ended, is to be seen out."""
        ...

    async def begin(self, client: CircusClient, name: str) -> Sequence[int]:
        """See to it that nothing starts *name* again; return the ids of what will end."""
        ...

    async def finish(self, name: str, pid: int) -> bool:
        """Return once *pid* has ended: True if by itself, False if it had to be killed."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class AtOnce:
    """Asks at once, and kills what has not ended after *drain_seconds*."""

    drain_seconds: float
    resumes: bool = False

    async def begin(self, client: CircusClient, name: str) -> Sequence[int]:
        """Ask the process of *name* to finish; return its id. Nothing starts it again."""
        return await begin_drain(client, name)

    async def finish(self, name: str, pid: int) -> bool:  # noqa: ARG002 - of the protocol
        """Return once *pid* has ended: True if by itself, False if it was killed."""
        return await see_out(pid, seconds=self.drain_seconds)


@dataclass(frozen=True, slots=True, kw_only=True)
class OnceIdle:
    """Asks once nothing is inside: *told* lets those know who send, *inside* counts by name.

    They get *notice_seconds* to turn elsewhere, and the server *drain_seconds* in all to become
    idle, and *stop_seconds* to end when it is asked.
    """

    told: Callable[[], Awaitable[object]]
    inside: Callable[[str], int | None]
    notice_seconds: float
    drain_seconds: float
    stop_seconds: float = 30.0
    resumes: bool = True

    async def begin(self, client: CircusClient, name: str) -> Sequence[int]:
        """Return the ids of the processes of *name*. Nothing starts them again."""
        return await _forgotten(client, name)

    async def finish(self, name: str, pid: int) -> bool:
        """Return once *pid* has ended: True if by itself, False if it was killed."""
        with contextlib.suppress(MetricsUnavailable):  # then nobody can be told
            await self.told()
        loop = asyncio.get_running_loop()
        began = loop.time()
        await asyncio.sleep(min(self.notice_seconds, self.drain_seconds))
        # Somebody else reads how many are inside, now and then.
        while self._is_busy(name) and loop.time() - began < self.drain_seconds:  # noqa: ASYNC110
            await asyncio.sleep(_LOOK_SECONDS)
        send(pid, signal.SIGTERM)
        return await see_out(pid, seconds=self.stop_seconds)

    def _is_busy(self, name: str) -> bool:
        # Nobody knows is not nobody is there.
        return self.inside(name) != 0


async def begin_drain(client: CircusClient, name: str) -> Sequence[int]:
    """Ask the process under the watcher *name* to finish; return the ids of what will end.

    Nothing starts it again. Raises SupervisorAway or SupervisorRefused.
    """
    pids = await _forgotten(client, name)
    for pid in pids:
        send(pid, signal.SIGTERM)
    return pids


async def see_out(pid: int, *, seconds: float | None) -> bool:
    """Return once *pid* has ended: True if by itself, False if it was killed after *seconds*.

    With None it is never killed.
    """
    try:
        process = os.pidfd_open(pid)
    except ProcessLookupError:
        return True
    try:
        async with asyncio.timeout(seconds):
            await _ended(process)
    except TimeoutError:
        signal.pidfd_send_signal(process, signal.SIGKILL)
        await _ended(process)
        return False
    finally:
        os.close(process)
    return True


async def _forgotten(client: CircusClient, name: str) -> Sequence[int]:
    await client.forget(name)
    return [child.pid for child in client.children() if child.name == name]


async def _ended(process: int) -> None:
    loop = asyncio.get_running_loop()
    ended = asyncio.Event()
    loop.add_reader(process, ended.set)
    try:
        await ended.wait()
    finally:
        loop.remove_reader(process)
