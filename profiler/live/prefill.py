"""One prompt alone on the engine: how long until its first token."""

import asyncio

from planner.core.observation import StepSums
from profiler.live.reading import EngineReading, ReadEngine, grown
from profiler.loadgen import Answer, Client, NoAnswer, Prompts
from profiler.ports import Disturbed, MeasuringFailed, PrefillSample

_POLL_SECONDS = 0.02
_COUNTED_SECONDS = 2.0
# What the client waits for contains what the engine did; clocks and rounding may differ a little.
_LONGER = 1.05


async def measure_prefill(
    isl: int, *, client: Client, prompts: Prompts, read: ReadEngine
) -> PrefillSample:
    """Return one measurement of a fresh prompt of *isl* tokens. Raises MeasuringFailed.

    The engine's own time where it counts its steps: what stands before it is not the engine's.
    """
    before = await read()
    if before.in_flight:
        raise MeasuringFailed(f"the engine serves {before.in_flight} requests of others")
    try:
        answer = await client.complete(prompts.fresh(isl, osl=1))
    except NoAnswer as error:
        raise MeasuringFailed(f"a prompt of {isl} tokens: {error}") from error
    if answer.prompt_tokens != isl:
        raise MeasuringFailed(f"the engine counted {answer.prompt_tokens} of {isl} prompt tokens")
    computed = await _counted(before, isl, read)
    if computed is None:
        return PrefillSample(isl=isl, ttft_seconds=answer.ttft_seconds)
    return PrefillSample(isl=isl, ttft_seconds=_engine_seconds(isl, computed, answer))


async def _counted(before: EngineReading, isl: int, read: ReadEngine) -> StepSums | None:
    """Return what the prompt took once the engine has counted all of it, or waited for that."""
    computed = grown(before, await read())
    deadline = asyncio.get_running_loop().time() + _COUNTED_SECONDS
    while computed is not None and computed.prefilled < isl:
        if asyncio.get_running_loop().time() > deadline:
            break
        await asyncio.sleep(_POLL_SECONDS)
        computed = grown(before, await read())
    return computed


def _engine_seconds(isl: int, computed: StepSums, answer: Answer) -> float:
    if computed.prefilled != isl:
        raise MeasuringFailed(
            f"the engine computed {computed.prefilled} of {isl} prompt tokens: "
            "the rest was in its cache, or somebody else's"
        )
    if not 0 < computed.seconds <= answer.ttft_seconds * _LONGER:
        raise Disturbed(
            f"the engine counts {computed.seconds:.4g} s for a prompt whose first token came "
            f"after {answer.ttft_seconds:.4g} s"
        )
    return computed.seconds
