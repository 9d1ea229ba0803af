"""A batch that decodes: how long a step takes while nothing changes."""

import asyncio
from dataclasses import dataclass
from math import ceil

from profiler.live.holding import Held, holding
from profiler.live.reading import ReadEngine
from profiler.live.steady import POLL_SECONDS, STEPS, sample_of, steady_steps
from profiler.loadgen import Client, Prompts, is_bursty
from profiler.ports import DecodeSample, Disturbed, EngineFacts


@dataclass(frozen=True, slots=True, kw_only=True)
class Batch:
    """What is asked for: *concurrency* requests with about *context* tokens each."""

    concurrency: int
    context: int

    def prefill_steps(self, facts: EngineFacts) -> int:
        """Return how many steps compute all the prompts."""
        return ceil(self.concurrency * self.context / facts.max_num_batched_tokens)

    def prompt_tokens(self, facts: EngineFacts) -> int:
        """Return how long prompts must be to hold the context in the middle of the measurement.

        While others are still being prefilled, those that came first grow by a token a step.
        """
        before = self.prefill_steps(facts) / 2 + STEPS
        room = facts.context_length - 2 * self.prefill_steps(facts) - 8 * STEPS
        least = max(1, self.context // 2)
        return max(1, min(max(least, round(self.context - before)), room))


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
        computed = await steady_steps(read, requests=batch.concurrency, check=held.check)
        return await _from_client(held, isl) if computed is None else sample_of(computed)


async def _from_client(held: Held, isl: int) -> DecodeSample:
    """Return what the tokens' arrival says of an engine that does not count its steps."""
    while held.begun < len(held.streams):
        await _wait(held)
    starts = [len(stream.moments) for stream in held.streams]
    while min(len(s.moments) - n for s, n in zip(held.streams, starts, strict=True)) <= STEPS:
        await _wait(held)
    stretches = [s.moments[n:] for s, n in zip(held.streams, starts, strict=True)]
    if any(map(is_bursty, stretches)):
        raise Disturbed(
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


async def _wait(held: Held) -> None:
    await asyncio.sleep(POLL_SECONDS)
    held.check()
