"""Handlers of delivered messages as owned tasks, shared by every request plane."""

import asyncio
import logging
from collections.abc import Awaitable, Callable

Handler = Callable[[bytes], Awaitable[None]]

log = logging.getLogger(__name__)


class Handlers:
    """The tasks that work on messages already accepted."""

    def __init__(self) -> None:
        self._tasks: set[asyncio.Task[None]] = set()

    def start(self, handler: Handler, message: bytes) -> None:
        """Run *handler* on *message*; a failure is logged and ends that message only."""
        task = asyncio.create_task(_handle(handler, message))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def close(self) -> None:
        """Cancel what still runs and wait until it is gone."""
        tasks = list(self._tasks)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


async def _handle(handler: Handler, message: bytes) -> None:
    try:
        await handler(message)
    except Exception:
        log.exception("request handler failed")
