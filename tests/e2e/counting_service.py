"""Services for test_runtime_processes, run by ``python -m runtime.service``."""

import asyncio
import os
from collections.abc import AsyncIterator

from runtime.context import Context
from runtime.service import depends, endpoint, service


@service
class Counter:
    """Counts slowly, and knows how its counts ended."""

    def __init__(self) -> None:
        self.killed = 0
        self.running = 0

    @endpoint
    async def count(self, upto: int, context: Context) -> AsyncIterator[int]:
        self.running += 1
        try:
            for number in range(upto):
                yield number
                if context.is_stopped:
                    break
                await asyncio.sleep(0.01)
        finally:
            self.running -= 1
            self.killed += context.is_killed

    @endpoint
    async def ends(self) -> dict[str, int]:
        return {"killed": self.killed, "running": self.running, "pid": os.getpid()}


@service
class Doubler:
    """Doubles what a counter gives."""

    counter = depends(Counter)

    @endpoint
    async def count(self, upto: int) -> AsyncIterator[int]:
        async for number in self.counter.count(upto):
            yield 2 * number
