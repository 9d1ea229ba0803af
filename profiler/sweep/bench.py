"""One engine on the bench: started when first needed, given up when it hangs, always stopped."""

import asyncio
from collections.abc import Awaitable, Sequence
from contextlib import AsyncExitStack
from math import inf
from typing import TypeVar

from planner.core.profile import Parallelism
from profiler.effort import Effort
from profiler.ports import MeasuringFailed, Rig, RunningEngine
from profiler.record import Ask, PointRecord, PrefillAsk, Sample, seconds
from profiler.sweep.repeats import enough, split_outliers, usual_deviation

T = TypeVar("T")


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
            self._engine = await _attempt(
                self._entered(), limit_seconds=self._effort.start_seconds, what="did not start"
            )
        return self._engine

    async def _entered(self) -> RunningEngine:
        return await self._stack.enter_async_context(self._rig.engine(self._parallelism))

    async def stop(self) -> str | None:
        """End the engine, if there is one; return in one line what went wrong with that."""
        self._engine = None
        stack, self._stack = self._stack, AsyncExitStack()
        try:
            await _attempt(
                stack.aclose(), limit_seconds=self._effort.stop_seconds, what="did not stop"
            )
        except MeasuringFailed as failure:
            return str(failure)
        return None

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
                    first_passes.append(await _attempt(_measured(engine, ask)))
                while not enough(samples, self._effort, usual=usual):
                    samples.append(await _attempt(_measured(engine, ask)))
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


async def _attempt(
    work: Awaitable[T], *, limit_seconds: float | None = None, what: str = "failed"
) -> T:
    """Return what *work* does within *limit_seconds*; whatever goes wrong is MeasuringFailed.

    A rig drives processes and servers of others: no error of theirs may end the sweep.
    """
    try:
        async with asyncio.timeout(limit_seconds) as limit:
            return await work
    except MeasuringFailed:
        raise
    except Exception as error:
        if limit.expired():
            raise MeasuringFailed(f"{what} within {limit_seconds:g} s") from None
        text = " ".join(str(error).split())
        raise MeasuringFailed(f"{what}: {type(error).__name__}: {text}".rstrip(": ")) from error
