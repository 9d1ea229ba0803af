"""The open loop: every request leaves when the trace says, however slow the answers are."""

import asyncio
from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np

from planner.replay.endpoint import Endpoint, RequestFailed
from planner.replay.measurement import Measurement, Status
from planner.replay.prompts import body
from planner.replay.stream import Answer
from planner.traces import Trace


@dataclass(frozen=True, slots=True, kw_only=True)
class Load:
    """What to send: *trace* as it is, with prompts of random tokens drawn from *seed*.

    At most *concurrency* requests are under way at once; beyond it they wait, which counts in
    their TTFT. It guards this machine and should not be reached.
    """

    trace: Trace
    model: str
    seed: int = 0
    concurrency: int = 4096


Measured = Callable[[Measurement], None]


async def replay(load: Load, endpoint: Endpoint, *, measured: Measured) -> None:
    """Send *load* to *endpoint* and call *measured* once for each request that was due.

    Returns when the last one has ended. When cancelled, the requests under way are measured as
    interrupted and those not yet due are left out.
    """
    sender = _Sender(load, endpoint, measured=measured)
    async with asyncio.TaskGroup() as group:
        for index, due in enumerate(load.trace.arrival_seconds.tolist()):
            await asyncio.sleep(due - sender.elapsed())
            group.create_task(sender.send(index, due))


class _Sender:
    def __init__(self, load: Load, endpoint: Endpoint, *, measured: Measured) -> None:
        self._load = load
        self._endpoint = endpoint
        self._measured = measured
        self._started = endpoint.clock()
        self._rng = np.random.default_rng(load.seed)
        self._slots = asyncio.Semaphore(load.concurrency)

    def elapsed(self) -> float:
        """Return the seconds since the replay started."""
        return self._endpoint.clock() - self._started

    async def send(self, index: int, due: float) -> None:
        """Send one request and tell its measurement, whatever becomes of it."""
        began = self.elapsed()
        found = Measurement(
            index=index,
            due_seconds=due,
            isl=int(self._load.trace.isl[index]),
            osl=int(self._load.trace.osl[index]),
            status=Status.INTERRUPTED,
            late_seconds=began - due,
        )
        try:
            answer = await self._answer(found)
            found = replace(
                found,
                status=Status.COMPLETED,
                ttft_seconds=answer.first - self._started - began,
                itl_seconds=answer.mean_itl,
                tokens=answer.tokens,
            )
        except RequestFailed as failure:
            found = replace(found, status=Status.FAILED, error=str(failure))
        finally:  # also when cancelled
            self._measured(replace(found, duration_seconds=self.elapsed() - began))

    async def _answer(self, request: Measurement) -> Answer:
        prompt = body(request.isl, request.osl, model=self._load.model, rng=self._rng)
        async with self._slots:
            return await self._endpoint.complete(prompt)
