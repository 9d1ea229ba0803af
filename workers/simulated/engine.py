"""An engine without a model: real scheduling, real pacing, made-up text.

Step times come from the engine model that also sizes fleets, so what the planner predicts is what
this engine does. The loop is thin; the scheduler decides.
"""

import asyncio
from collections.abc import AsyncGenerator, Callable
from contextlib import aclosing, suppress
from dataclasses import dataclass
from random import Random
from typing import Any

from msgspec.structs import replace

from planner.core.engine import EngineModel
from runtime.errors import Cancelled
from runtime.kv_events.ledger import BlockLedger
from runtime.protocol import FinishReason, GenerateRequest, Sampling, TokenDelta
from workers.engine import EngineStats, Prefilled, TransferTotals, check_extras
from workers.simulated.follower import Follower
from workers.simulated.outbox import Outbox
from workers.simulated.scheduler import Limits, Scheduler, Step
from workers.simulated.sequence import Sequence
from workers.step_totals import StepSums


@dataclass(frozen=True, slots=True, kw_only=True)
class Pace:
    """How simulated time passes: the model's seconds divided by *speedup*."""

    cold_start: float = 0.0
    """Seconds from `start` to ready; *speedup* leaves them alone."""
    speedup: float = 1.0
    noise: float = 0.0
    """Standard deviation of a step's time, as a share of it."""
    rng: Random | None = None
    """Where the noise comes from; needed when there is some."""

    def stretch(self, seconds: float) -> float:
        """Return how long to wait for what takes the model *seconds*."""
        if self.noise and self.rng is not None:
            seconds *= max(0.1, self.rng.gauss(1.0, self.noise))
        return seconds / self.speedup


class SimulatedEngine:
    """The `Engine` of machines without a GPU; *on_step* is told how long each step took."""

    def __init__(
        self,
        model: EngineModel,
        limits: Limits,
        *,
        follower: Follower,
        pace: Pace | None = None,
        on_step: Callable[[float], None] | None = None,
    ) -> None:
        self._model = model
        self._pace = pace or Pace()
        self._on_step = on_step
        self._follower = follower
        self.ledger = BlockLedger(limits.block_size)
        """What its prefix cache has."""
        self._scheduler = Scheduler(limits, follower.draw, eos=follower.eos, ledger=self.ledger)
        self._totals = StepSums()
        self._received = TransferTotals(received=0, failed=0, tokens=0, bytes=0, seconds=0.0)
        self._outboxes: dict[str, Outbox] = {}
        self._work = asyncio.Event()
        self._failed = asyncio.Event()
        self._failure = ""
        self._task: asyncio.Task[None] | None = None

    async def start(self) -> None:
        """Wait out the cold start, then run."""
        await asyncio.sleep(self._pace.cold_start)
        self._task = asyncio.create_task(self._run(), name="simulated engine")

    async def wait_failed(self) -> str:
        """Return why the engine's loop ended."""
        await self._failed.wait()
        return self._failure

    def uncached_tokens(self, token_ids: list[int]) -> int:
        """Return how many of these prompt tokens are not in the prefix cache."""
        return len(token_ids) - self._scheduler.cached(token_ids)

    async def reserve(self, request: GenerateRequest) -> None:
        """Hold KV blocks for the whole prompt; first come, first served."""
        outbox = self._enter(request, held=True)
        try:
            while outbox.sequence.is_waiting and not outbox.is_closed:
                await outbox.wait()
        except asyncio.CancelledError:
            self._leave(outbox)
            raise
        if outbox.is_closed:
            raise Cancelled(f"request {request.request_id} was aborted")

    async def generate(self, request: GenerateRequest) -> AsyncGenerator[TokenDelta, None]:
        """Yield tokens as the steps produce them. They are drawn, so nothing else shapes them."""
        check_extras(request.sampling, ())
        if request.resumed >= request.sampling.max_tokens:
            yield TokenDelta(token_ids=[], finish_reason=FinishReason.LENGTH)
            return
        if request.transfer is not None and request.request_id not in self._outboxes:
            await self.reserve(request)
        outbox = self._outboxes.get(request.request_id)
        is_reserved = outbox is not None
        outbox = outbox or self._enter(request)
        try:
            if is_reserved:
                await self._resume(request, outbox)
            while (delta := await outbox.fetch()) is not None:
                yield delta
                if delta.finish_reason is not None:
                    return
        finally:
            self._leave(outbox)

    async def prefill(self, request: GenerateRequest) -> Prefilled:
        """Compute the prompt's KV; as in real engines that yields a token, which is dropped."""
        sampling = Sampling(max_tokens=request.resumed + 1, ignore_eos=True)
        async with aclosing(self.generate(replace(request, sampling=sampling))) as deltas:
            async for delta in deltas:
                return self._prefilled(request, cached_tokens=delta.cached_tokens or 0)
        raise Cancelled(f"request {request.request_id} was aborted")

    def _prefilled(self, request: GenerateRequest, *, cached_tokens: int) -> Prefilled:
        tokens = len(request.token_ids)
        kv_bytes = tokens * self._model.limits.kv_bytes_per_token
        transfer = {"engine": "simulated", "tokens": tokens, "bytes": kv_bytes}
        return Prefilled(transfer=transfer, cached_tokens=cached_tokens)

    async def release(self, transfer: dict[str, Any]) -> None:
        """Nothing is held for others: only the time of a transfer is real."""

    async def abort(self, request_id: str) -> None:
        """End a request; its reader gets what is done and no finish reason."""
        outbox = self._outboxes.get(request_id)
        if outbox is not None:
            outbox.close()
            self._leave(outbox)

    @property
    def why_awake(self) -> str | None:
        """Nothing keeps it awake."""
        return None

    async def sleep(self) -> None:
        """Drop the prefix cache: there are no weights."""
        self._scheduler.pool.clear()

    async def wake(self) -> None:
        """Nothing has to be loaded."""

    def stats(self) -> EngineStats:
        """Return the scheduler's figures."""
        scheduler = self._scheduler
        return EngineStats(
            running=scheduler.running,
            waiting=scheduler.waiting,
            waiting_tokens=scheduler.waiting_tokens,
            kv_blocks_used=scheduler.pool.used,
            kv_blocks_total=scheduler.pool.total,
            preemptions=scheduler.preemptions,
            prompt_tokens=scheduler.prompt_tokens,
            cached_tokens=scheduler.cached_tokens,
            generated_tokens=scheduler.generated_tokens,
            steps=self._totals.read(),
            transfers=self._received,
        )

    async def close(self) -> None:
        """End all requests and the loop."""
        for request_id in tuple(self._outboxes):
            await self.abort(request_id)
        if self._task is not None:
            self._task.cancel()
            with suppress(asyncio.CancelledError):
                await self._task

    def _enter(self, request: GenerateRequest, *, held: bool = False) -> Outbox:
        sequence = Sequence.of(request, key=self._follower.key(request), held=held)
        self._scheduler.add(sequence)
        outbox = self._outboxes[request.request_id] = Outbox(sequence)
        self._work.set()
        return outbox

    async def _resume(self, request: GenerateRequest, outbox: Outbox) -> None:
        """Let a reserved request join the batch, once its KV has arrived."""
        if request.transfer is not None:
            await self._receive(outbox.sequence.uncomputed)
        if not outbox.is_closed:
            transferred = request.transfer is not None
            self._scheduler.resume(request.request_id, transferred=transferred)
            self._work.set()

    async def _receive(self, tokens: int) -> None:
        """Wait as long as the KV of *tokens* would take, and count it as come."""
        seconds = self._model.transfer_seconds(tokens) / self._pace.speedup
        await asyncio.sleep(seconds)
        before = self._received
        self._received = TransferTotals(
            received=before.received + 1,
            failed=0,
            tokens=before.tokens + tokens,
            bytes=before.bytes + tokens * self._model.limits.kv_bytes_per_token,
            seconds=before.seconds + seconds,
        )

    def _leave(self, outbox: Outbox) -> None:
        request_id = outbox.sequence.request_id
        if self._outboxes.get(request_id) is outbox:
            del self._outboxes[request_id]
            self._scheduler.abort(request_id)
            self._work.set()

    async def _run(self) -> None:
        try:
            await self._step_forever()
        except Exception as error:
            self._failure = f"the engine's loop ended with {error!r}"
            for outbox in self._outboxes.values():
                outbox.close(self._failure)
            self._failed.set()

    async def _step_forever(self) -> None:
        """Pace steps by absolute time: a late machine catches up instead of drifting."""
        loop = asyncio.get_running_loop()
        due = loop.time()
        while True:
            step = self._scheduler.schedule()
            for sequence in step.granted:
                self._outboxes[sequence.request_id].wake()
            if not step.parts:
                self._work.clear()
                await self._work.wait()
                due = max(due, loop.time())
                continue
            seconds = self._seconds(step)
            due += seconds
            await asyncio.sleep(max(0.0, due - loop.time()))
            self._deliver(step)
            self._count(step)
            if self._on_step is not None:
                self._on_step(seconds)

    def _count(self, step: Step) -> None:
        """Count *step*, of which nothing is missing even where a request left meanwhile."""
        self._totals.decode(step.decodes, kv_tokens=step.decode_context)
        if step.chunks:
            self._totals.prefill_step()
        for start, end in step.chunks:
            self._totals.chunk(start, end)

    def _seconds(self, step: Step) -> float:
        return self._pace.stretch(
            self._model.step_seconds(
                decoding=step.decodes, kv_tokens=step.decode_context, chunks=step.chunks
            )
        )

    def _deliver(self, step: Step) -> None:
        for sequence, token_id, reason in self._scheduler.commit(step):
            outbox = self._outboxes.get(sequence.request_id)
            if outbox is not None:
                outbox.put(token_id, reason)
