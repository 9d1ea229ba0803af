"""Many requests held in decoding at once: started together, ended together."""

import asyncio
from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager

from profiler.loadgen import Client, NoAnswer, Stream
from profiler.ports import Disturbed, MeasuringFailed


class Held:
    """Requests under way."""

    def __init__(self, streams: list[Stream], tasks: "list[asyncio.Task[None]]") -> None:
        self.streams = streams
        self._tasks = tasks

    @property
    def begun(self) -> int:
        """How many have a token."""
        return sum(bool(stream.moments) for stream in self.streams)

    def check(self) -> None:
        """Raise MeasuringFailed when one has ended: the batch is no longer the one asked for."""
        for task in self._tasks:
            if task.done():
                error = None if task.cancelled() else task.exception()
                if isinstance(error, NoAnswer):
                    raise MeasuringFailed(f"a request of {len(self._tasks)} {error}")
                raise Disturbed("a request ended while others were still being measured")


@asynccontextmanager
async def holding(client: Client, bodies: Iterable[bytes]) -> AsyncIterator[Held]:
    """Send all *bodies* and yield the requests under way; leaving the block ends them."""
    streams: list[Stream] = []
    tasks: list[asyncio.Task[None]] = []
    try:
        for body in bodies:
            streams.append(Stream())
            tasks.append(asyncio.create_task(client.follow(body, streams[-1])))
        yield Held(streams, tasks)
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
