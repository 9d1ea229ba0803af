"""How fast KV moves between two engines: a pair on the bench, and a few prompts sent through it."""

from contextlib import AsyncExitStack

from planner.core.profile import Parallelism
from profiler.effort import Effort
from profiler.ports import MeasuringFailed, PairRig, RunningPair, TransferSample
from profiler.record import TransferRecord
from profiler.sweep.attempt import attempt, stopped

_PROMPTS = 8
_FIRST_PASSES = 2
"""In which the engines get to know each other."""


async def measure_transfer(
    rig: PairRig, parallelism: Parallelism, effort: Effort, *, isl: int
) -> TransferRecord:
    """Return what prompts of *isl* tokens took from one engine to the other, both then stopped."""
    samples: list[TransferSample] = []
    failure = None
    stack = AsyncExitStack()
    try:
        pair = await attempt(
            stack.enter_async_context(rig.pair(parallelism)),
            limit_seconds=effort.start_seconds,
            what="did not start",
        )
        await attempt(_send(pair, isl, samples), limit_seconds=effort.point_seconds)
    except MeasuringFailed as error:
        failure = str(error)
    finally:
        problem = await stopped(stack, limit_seconds=effort.stop_seconds)
    kept = tuple(samples[_FIRST_PASSES:])
    return TransferRecord(parallelism=parallelism, samples=kept, failure=failure or problem)


async def _send(pair: RunningPair, isl: int, samples: list[TransferSample]) -> None:
    while len(samples) < _FIRST_PASSES + _PROMPTS:
        sample = await pair.transfer(isl)
        if not (sample.bytes > 0 and sample.seconds > 0):
            raise MeasuringFailed(f"measured nothing: {sample}")
        samples.append(sample)
