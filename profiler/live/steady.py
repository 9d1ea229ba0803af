"""A stretch in which a batch decodes and nothing else happens, by the engine's own count."""

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from planner.core.observation import StepSums
from profiler.live.reading import EngineReading, ReadEngine, grown
from profiler.ports import DecodeSample, MeasuringFailed

POLL_SECONDS = 0.05
STEPS = 64
_SECONDS = 0.5
_MOST_STEPS = 2 * STEPS
"""Fast engines need not go on for half a second: requests would reach the end of their context."""
_FEWEST_STEPS = 3
"""Without a prompt in them, before a batch counts as steady."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Stretch:
    """Steps in which a batch decoded and nothing else: all of them, and from look to look."""

    computed: StepSums
    looks: tuple[StepSums, ...]


async def steady_steps(
    read: ReadEngine, *, requests: int, check: Callable[[], None]
) -> Stretch | None:
    """Return a stretch of steps in which all *requests* decode.

    However many tries it takes; None when the engine counts no steps. *check* is called at every
    look and raises MeasuringFailed when the batch is no longer the one asked for.
    """
    while True:
        first = await _arrived(read, requests, check)
        if first is None:
            return None
        began = asyncio.get_running_loop().time()
        looks: list[StepSums] = []
        last = first
        while True:
            now = await _look(read, check)
            computed, since = grown(first, now), grown(last, now)
            if computed is None or since is None:
                return None
            if computed.prefill_steps:
                break
            looks.append(since)
            last = now
            elapsed = asyncio.get_running_loop().time() - began
            long_enough = elapsed >= _SECONDS or computed.steps >= _MOST_STEPS
            if computed.steps >= STEPS and long_enough:
                return Stretch(computed=computed, looks=tuple(looks))


async def _arrived(
    read: ReadEngine, requests: int, check: Callable[[], None]
) -> EngineReading | None:
    """Return the engine once all have arrived and no more prompts are computed."""
    before = await _look(read, check)
    while True:
        now = await _look(read, check)
        computed = grown(before, now)
        if computed is None:
            return None
        if now.in_flight < requests or computed.prefill_steps:
            before = now
        elif computed.steps >= _FEWEST_STEPS:
            return now


async def _look(read: ReadEngine, check: Callable[[], None]) -> EngineReading:
    await asyncio.sleep(POLL_SECONDS)
    check()
    return await read()


def sample_of(stretch: Stretch) -> DecodeSample:
    """Return the load of *stretch*, and its usual step; raises MeasuringFailed if none decoded.

    A few looks with slow steps in them are somebody else's doing, so the median over steps it is.
    """
    computed = stretch.computed
    if not computed.decoded:
        raise MeasuringFailed("the engine took steps without decoding")
    return DecodeSample(
        batch=computed.decoded / computed.steps,
        kv_tokens=computed.kv_tokens / computed.steps,
        itl_seconds=_usual_seconds(stretch.looks),
        steps=computed.steps,
    )


def _usual_seconds(looks: Sequence[StepSums]) -> float:
    """Return the seconds of a step that half of all steps, at the mean of their look, are below."""
    ordered = sorted((look.seconds / look.steps, look.steps) for look in looks if look.steps)
    half = sum(steps for _, steps in ordered) / 2
    behind = 0
    for seconds, steps in ordered:
        behind += steps
        if behind >= half:
            return seconds
    raise MeasuringFailed("the engine took no steps")
