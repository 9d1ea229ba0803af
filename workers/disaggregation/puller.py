"""The prefill worker's side: take prefills from the queue as long as they fit into a step or so.

What happens to one item is in `delivery`.
"""

import asyncio
import logging

from runtime.errors import MessagingUnavailable
from runtime.ports import Delivery, WorkQueue
from workers.disaggregation.delivery import PrefillDelivery, Prefilling

log = logging.getLogger(__name__)

PULL_SECONDS = 1.0
RETRY_SECONDS = 0.5


class PrefillPuller:
    """Keeps up to *token_budget* prompt tokens in work, so that others can take the rest.

    A prompt longer than that is worked on alone.
    """

    def __init__(self, queue: WorkQueue, prefilling: Prefilling, *, token_budget: int) -> None:
        self._queue = queue
        self._prefilling = prefilling
        self._token_budget = token_budget
        self._tokens = 0
        self._room = asyncio.Event()
        self._room.set()
        self._tasks: set[asyncio.Task[None]] = set()
        self._pulling: asyncio.Task[None] | None = None

    @property
    def in_flight(self) -> int:
        """Items in work."""
        return len(self._tasks)

    def start(self) -> None:
        """Begin to pull, also after `drain`."""
        self._pulling = asyncio.create_task(self._pull(), name="prefill puller")

    async def drain(self, timeout: float) -> bool:
        """Pull no more, finish within *timeout* seconds, give the rest back to the queue.

        Returns whether everything was finished.
        """
        if self._pulling is not None:
            self._pulling.cancel()
            await asyncio.wait({self._pulling})
        unfinished: set[asyncio.Task[None]] = set()
        if self._tasks:
            _, unfinished = await asyncio.wait(self._tasks, timeout=timeout)
        for task in unfinished:
            task.cancel()
        if unfinished:
            await asyncio.wait(unfinished)
        return not unfinished

    async def _pull(self) -> None:
        while True:
            await self._room.wait()
            try:
                delivery = await self._queue.pull(timeout=PULL_SECONDS)
            except MessagingUnavailable as error:
                log.debug("prefill queue away: %s", error)
                await asyncio.sleep(RETRY_SECONDS)
                continue
            if delivery is not None:
                self._begin(delivery)

    def _begin(self, delivery: Delivery) -> None:
        work = PrefillDelivery(delivery, self._prefilling)
        self._count(work.tokens)
        task = asyncio.create_task(work.run())
        self._tasks.add(task)
        task.add_done_callback(lambda done: self._end(done, work.tokens))

    def _end(self, task: asyncio.Task[None], tokens: int) -> None:
        self._tasks.discard(task)
        self._count(-tokens)

    def _count(self, tokens: int) -> None:
        self._tokens += tokens
        if self._tokens < self._token_budget:
            self._room.set()
        else:
            self._room.clear()
