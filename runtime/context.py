"""What a handler knows of the request it works on: its id, its time left, and whether to end."""

import asyncio
import time
from collections.abc import Callable
from contextvars import ContextVar

_current: ContextVar["Context | None"] = ContextVar("runtime_context", default=None)


def current_context() -> "Context | None":
    """Return the context of the request that the running task works on, or None outside one."""
    return _current.get()


def enter_context(context: "Context") -> None:
    """Make *context* the one that `current_context` returns in this task."""
    _current.set(context)


class Context:
    """One request on its way: *stop* asks for a graceful end, *kill* drops it now.

    A context handed to `Client.generate` passes its id, its deadline and both signals on, so a
    chain of services ends as one.
    """

    __slots__ = ("_clock", "_deadline", "_followers", "_killed", "_stopped", "id")

    def __init__(
        self,
        request_id: str,
        *,
        timeout: float | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.id = request_id
        self._clock = clock
        self._deadline = None if timeout is None else clock() + timeout
        self._stopped = asyncio.Event()
        self._killed = False
        self._followers: list[tuple[Callable[[], None], Callable[[], None]]] = []

    def remaining(self) -> float | None:
        """Return the seconds left, 0 when they are over, or None without a deadline."""
        return None if self._deadline is None else max(0.0, self._deadline - self._clock())

    @property
    def is_stopped(self) -> bool:
        """Whether the request should end: soon and gracefully, or at once if also killed."""
        return self._stopped.is_set()

    @property
    def is_killed(self) -> bool:
        """Whether nobody waits for the result any more."""
        return self._killed

    async def wait_stopped(self) -> None:
        """Return once the request should end."""
        await self._stopped.wait()

    def stop(self) -> None:
        """Ask for a graceful end; what is done is kept."""
        if self._stopped.is_set():
            return
        self._stopped.set()
        for stop, _ in tuple(self._followers):
            stop()

    def kill(self) -> None:
        """Drop the request now."""
        if self._killed:
            return
        self._killed = True
        self._stopped.set()
        for _, kill in tuple(self._followers):
            kill()

    def follow(self, stop: Callable[[], None], kill: Callable[[], None]) -> Callable[[], None]:
        """Call *stop* and *kill* when this request is; returns what ends that."""
        follower = (stop, kill)
        self._followers.append(follower)
        if self._killed:
            kill()
        elif self._stopped.is_set():
            stop()

        def unfollow() -> None:
            if follower in self._followers:
                self._followers.remove(follower)

        return unfollow
