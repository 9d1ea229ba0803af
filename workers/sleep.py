"""Sleep: a worker that stays loaded but gives its device's memory back, until it is woken."""

import asyncio
from collections.abc import Awaitable, Callable
from enum import StrEnum
from typing import Protocol, runtime_checkable

from runtime.errors import RuntimeFault
from workers.registration import Registration


class State(StrEnum):
    """Where a worker is in its life; what /health shows."""

    STARTING = "starting"
    READY = "ready"
    SLEEPING = "sleeping"
    DRAINING = "draining"


@runtime_checkable
class Sleeper(Protocol):
    """What an engine that can sleep has besides `Engine`. Only an idle one is put to sleep."""

    @property
    def why_awake(self) -> str | None:
        """Why this one can never sleep, or None if it can."""
        ...

    async def sleep(self) -> None:
        """Free the device's memory: weights are kept elsewhere, the prefix cache is dropped."""
        ...

    async def wake(self) -> None:
        """Be as after the start; one that is awake is fine."""
        ...


class CannotSleep(RuntimeFault):
    """This worker never can."""

    code = "cannot_sleep"


class NotNow(RuntimeFault):
    """A worker that is starting, leaving, or does not become idle in time."""

    code = "not_now"


class Bed:
    """Takes a worker out of discovery and back, one step at a time.

    *patience* is how long it may take, in seconds, until what runs is finished. *warm_up* is made
    before the worker is listed again.
    """

    def __init__(
        self,
        engine: object,
        registration: Registration,
        *,
        patience: float,
        warm_up: Callable[[], Awaitable[None]],
    ) -> None:
        self.state = State.READY
        self._engine = engine
        self._registration = registration
        self._patience = patience
        self._warm_up = warm_up
        self._lock = asyncio.Lock()
        self._is_closed = False
        self._tasks: set[asyncio.Task[None]] = set()

    async def sleep(self) -> None:
        """Return once asleep. Raises CannotSleep, and NotNow if it went on working instead."""
        await self._do(self._fall_asleep)

    async def wake(self) -> None:
        """Return once requests are taken again."""
        await self._do(self._wake_up)

    async def close(self) -> None:
        """Begin nothing more, as the worker leaves; what is under way ends where it is."""
        self.state, self._is_closed = State.DRAINING, True
        for task in self._tasks:
            task.cancel()
        if self._tasks:
            await asyncio.wait(self._tasks)

    async def _do(self, act: Callable[[], Awaitable[None]]) -> None:
        """Do it to the end, also for a caller that hangs up in the middle."""
        if self._is_closed:
            raise NotNow("the worker is leaving")

        async def alone() -> None:
            async with self._lock:
                await act()

        task = asyncio.create_task(alone())
        self._tasks.add(task)
        task.add_done_callback(self._done)
        await asyncio.wait({task})
        if task.cancelled():
            raise NotNow("the worker is leaving")
        task.result()

    def _done(self, task: asyncio.Task[None]) -> None:
        self._tasks.discard(task)
        if not task.cancelled():
            task.exception()  # looked at: whoever asked may have hung up

    async def _fall_asleep(self) -> None:
        if self.state is State.SLEEPING:
            return
        engine = _sleeper(self._engine)
        self.state = State.DRAINING
        try:
            if not await self._registration.pause(self._patience):
                raise self._not_idle()
            await engine.sleep()
        except RuntimeFault:
            await self._rejoin()
            raise
        await self._registration.rest()
        self.state = State.SLEEPING

    def _not_idle(self) -> NotNow:
        running = self._registration.in_flight
        return NotNow(f"{running} requests still ran after {self._patience:g} s")

    async def _wake_up(self) -> None:
        if self.state is State.READY:
            return
        await _sleeper(self._engine).wake()
        await self._warm_up()
        await self._rejoin()

    async def _rejoin(self) -> None:
        await self._registration.resume()
        self.state = State.READY


def _sleeper(engine: object) -> Sleeper:
    if not isinstance(engine, Sleeper):
        raise CannotSleep("this engine cannot sleep")
    if engine.why_awake is not None:
        raise CannotSleep(f"this engine cannot sleep: {engine.why_awake}")
    return engine
