"""A batch that decodes: how long a step takes, by the engine's own count while nothing changes."""

import asyncio
from dataclasses import dataclass
from math import ceil

from planner.core.observation import StepSums
from profiler.live.holding import Held, holding
from profiler.live.reading import EngineReading, ReadEngine, grown
from profiler.loadgen import Client, Prompts, is_bursty
from profiler.ports import DecodeSample, EngineFacts, MeasuringFailed

_POLL_SECONDS = 0.05
_STEPS = 64
_SECONDS = 0.5
_FEWEST_STEPS = 3
"""Without a prompt in them, before a batch counts as steady."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Batch:
    """What is asked for: *concurrency* requests with about *context* tokens each."""

    concurrency: int
    context: int

    def prompt_tokens(self, facts: EngineFacts) -> int:
        """Return how long prompts must be to hold the context in the middle of the measurement.

        While others are still being prefilled, those that came first grow by a token a step.
        """
        prefill_steps = ceil(self.concurrency * self.context / facts.max_num_batched_tokens)
        grown_before = prefill_steps / 2 + _STEPS
        room = facts.context_length - 2 * prefill_steps - 4 * _STEPS
        least = max(1, self.context // 2)
        return max(1, min(max(least, round(self.context - grown_before)), room))


async def measure_decode(
    batch: Batch, facts: EngineFacts, *, client: Client, prompts: Prompts, read: ReadEngine
) -> DecodeSample:
    """Return one measurement of *batch*. Raises MeasuringFailed."""
    isl = batch.prompt_tokens(facts)
    bodies = (
        prompts.standing(number, isl, osl=facts.context_length - isl)
        for number in range(batch.concurrency)
    )
    async with holding(client, bodies) as held:
        return await _measured(_Steady(held, read), isl)


async def _measured(steady: "_Steady", isl: int) -> DecodeSample:
    """Return what a stretch shows in which no prompt was computed, however many tries it takes."""
    while True:
        first = await steady.begin()
        moment = asyncio.get_running_loop().time()
        while True:
            await asyncio.sleep(_POLL_SECONDS)
            last = await steady.look()
            computed = grown(first, last)
            if computed is None:
                return await _from_client(steady.held, isl)
            if computed.prefill_steps:
                break
            elapsed = asyncio.get_running_loop().time() - moment
            if computed.steps >= _STEPS and elapsed >= _SECONDS:
                return _from_engine(computed)


class _Steady:
    """Watches a held batch until all of it decodes."""

    def __init__(self, held: Held, read: ReadEngine) -> None:
        self.held = held
        self._read = read

    async def look(self) -> EngineReading:
        """Return the engine now. Raises MeasuringFailed when a request has ended."""
        self.held.check()
        return await self._read()

    async def begin(self) -> EngineReading:
        """Return the engine once everything has arrived and no more prompts are computed."""
        before = await self.look()
        while True:
            await asyncio.sleep(_POLL_SECONDS)
            now = await self.look()
            computed = grown(before, now)
            if now.in_flight < len(self.held.streams):
                before = now
            elif computed is None:
                if self.held.begun == len(self.held.streams):
                    return now
            elif computed.prefill_steps:
                before = now
            elif computed.steps >= _FEWEST_STEPS:
                return now


def _from_engine(computed: StepSums) -> DecodeSample:
    if not computed.decoded:
        raise MeasuringFailed("the engine took steps without decoding")
    return DecodeSample(
        batch=computed.decoded / computed.steps,
        kv_tokens=computed.kv_tokens / computed.steps,
        itl_seconds=computed.seconds / computed.steps,
        steps=computed.steps,
    )


async def _from_client(held: Held, isl: int) -> DecodeSample:
    """Return what the tokens' arrival says of an engine that does not count its steps."""
    starts = [len(stream.moments) for stream in held.streams]
    while min(len(s.moments) - n for s, n in zip(held.streams, starts, strict=True)) <= _STEPS:
        await asyncio.sleep(_POLL_SECONDS)
        held.check()
    stretches = [s.moments[n:] for s, n in zip(held.streams, starts, strict=True)]
    if any(map(is_bursty, stretches)):
        raise MeasuringFailed(
            "tokens came in bursts, so their gaps are not the engine's, which counts no steps"
        )
    gaps = sum(len(moments) - 1 for moments in stretches)
    seconds = sum(moments[-1] - moments[0] for moments in stretches)
    contexts = (isl + n + len(m) / 2 for n, m in zip(starts, stretches, strict=True))
    return DecodeSample(
        batch=float(len(stretches)),
        kv_tokens=float(sum(contexts)),
        itl_seconds=seconds / gaps,
        steps=round(gaps / len(stretches)),
    )
