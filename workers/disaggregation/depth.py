"""How long the prefill queue is, for decisions and for scrapers."""

import asyncio

from runtime.errors import MessagingUnavailable
from runtime.ports import WorkQueue

ASK_SECONDS = 0.5
"""How long a request may wait for the answer before it is prefilled here."""
SAMPLE_SECONDS = 1.0


class QueueDepth:
    """Asks the queue when a request needs to know, and once a second for everyone else."""

    def __init__(self, queue: WorkQueue) -> None:
        self.last: int | None = None
        """The depth as last asked; None when the queue did not answer."""
        self.queue = queue
        self._task = asyncio.create_task(self._sample(), name="prefill queue depth")

    async def ask(self) -> int | None:
        """Return the depth now, or None when the queue does not answer soon."""
        try:
            async with asyncio.timeout(ASK_SECONDS):
                self.last = await self.queue.depth()
        except (MessagingUnavailable, TimeoutError):
            self.last = None
        return self.last

    async def close(self) -> None:
        """Stop asking."""
        self._task.cancel()
        await asyncio.wait({self._task})

    async def _sample(self) -> None:
        while True:
            await self.ask()
            await asyncio.sleep(SAMPLE_SECONDS)
