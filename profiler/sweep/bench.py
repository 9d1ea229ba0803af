"""One engine on the bench: started when first needed, given up when it hangs, always stopped."""

import asyncio
from collections.abc import Sequence
from contextlib import AsyncExitStack, suppress
from math import inf

from planner.core.profile import Parallelism
from profiler.effort import Effort
from profiler.ports import Disturbed, MeasuringFailed, Rig, RunningEngine
from profiler.record import Ask, PointRecord, PrefillAsk, Sample, seconds
from profiler.sweep.attempt import attempt, stopped
from profiler.sweep.repeats import enough, split_outliers, usual_deviation

# Of a sample that others spoiled.
_TRIES = 3


class Bench:
    """Starts and measures engines of one *parallelism*; whatever goes wrong is MeasuringFailed."""

    def __init__(self, rig: Rig, parallelism: Parallelism, effort: Effort) -> None:
        self._rig = rig
        self._parallelism = parallelism
        self._effort = effort
        self._stack = AsyncExitStack()
        self._engine: RunningEngine | None = None

    @property
    def is_running(self) -> bool:
        """Whether there is an engine."""
        return self._engine is not None

    async def engine(self) -> RunningEngine:
        """Return the engine, starting it if there is none; raises MeasuringFailed."""
        if self._engine is None:
            self._engine = await attempt(
                self._entered(), limit_seconds=self._effort.start_seconds, what="did not start"
            )
        return self._engine

    async def _entered(self) -> RunningEngine:
        return await self._stack.enter_async_context(self._rig.engine(self._parallelism))

    async def stop(self) -> str | None:
        """End the engine, if there is one; return in one line what went wrong with that."""
        self._engine = None
        stack, self._stack = self._stack, AsyncExitStack()
        return await stopped(stack, limit_seconds=self._effort.stop_seconds)

    async def measure(self, ask: Ask, *, before: Sequence[PointRecord]) -> PointRecord:
        """Return the record of *ask*, with its failure if it is one.

        How much points scatter is told by those *before*. Raises MeasuringFailed where the engine
        does not start.
        """
        usual = usual_deviation(before, ask)
        engine = await self.engine()
        first_passes: list[Sample] = []
        samples: list[Sample] = []
        failure = None
        try:
            async with asyncio.timeout(self._effort.point_seconds):
                while len(first_passes) < self._effort.first_passes:
                    first_passes.append(await _sample(engine, ask))
                while not enough(samples, self._effort, usual=usual):
                    samples.append(await _sample(engine, ask))
        except TimeoutError:
            failure = f"no result within {self._effort.point_seconds:g} s"
        except MeasuringFailed as error:
            failure = str(error)
        kept, outliers = split_outliers(samples, confidence=self._effort.confidence)
        return PointRecord(
            parallelism=self._parallelism,
            ask=ask,
            samples=kept,
            first_passes=tuple(first_passes),
            outliers=outliers,
            failure=failure,
        )


async def _sample(engine: RunningEngine, ask: Ask) -> Sample:
    for _ in range(_TRIES - 1):
        with suppress(Disturbed):
            return await attempt(_measured(engine, ask))
    return await attempt(_measured(engine, ask))


async def _measured(engine: RunningEngine, ask: Ask) -> Sample:
    sample: Sample
    if isinstance(ask, PrefillAsk):
        sample = await engine.prefill(ask.isl)
        amount: float = sample.isl
    else:
        sample = await engine.decode(concurrency=ask.concurrency, context=ask.context)
        amount = min(sample.batch, sample.kv_tokens)
    if not (0 < seconds(sample) < inf and 0 < amount < inf):
        raise MeasuringFailed(f"measured nothing: {sample}")
    return sample
