"""The `RunningEngine` of a real deployment: one engine behind a frontend, used by nobody else."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from statistics import median

from profiler.live.decode import Batch, measure_decode
from profiler.live.prefill import measure_prefill
from profiler.live.reading import ReadEngine
from profiler.loadgen import Client, Prompts
from profiler.ports import DecodeSample, EngineFacts, MeasuringFailed, PrefillSample

_POLL_SECONDS = 0.05
_IDLE_SECONDS = 20.0
# A sample is so many prompts, or as many as begin in this time: short ones scatter the most.
_PROMPTS = 5
_PROMPTS_SECONDS = 0.25


class LiveEngine:
    """Measures the engine that *client* reaches and *read* reads.

    A sample that takes over *patience* seconds fails.
    """

    def __init__(
        self,
        facts: EngineFacts,
        *,
        client: Client,
        prompts: Prompts,
        read: ReadEngine,
        patience: float,
    ) -> None:
        self._facts = facts
        self._client = client
        self._prompts = prompts
        self._read = read
        self._patience = patience

    @property
    def facts(self) -> EngineFacts:
        """What the engine told when it became ready."""
        return self._facts

    async def prefill(self, isl: int) -> PrefillSample:
        """Return the median of a few fresh prompts of *isl* tokens. Raises MeasuringFailed."""
        now = asyncio.get_running_loop().time
        began, found = now(), [await self._prompt(isl)]
        while len(found) < _PROMPTS and now() - began < _PROMPTS_SECONDS:
            found.append(await self._prompt(isl))
        return PrefillSample(isl=isl, ttft_seconds=median(each.ttft_seconds for each in found))

    async def _prompt(self, isl: int) -> PrefillSample:
        async with self._alone(f"a prompt of {isl} tokens"):
            return await measure_prefill(
                isl, client=self._client, prompts=self._prompts, read=self._read
            )

    async def decode(self, *, concurrency: int, context: int) -> DecodeSample:
        """Return one measurement of a steady batch. Raises MeasuringFailed."""
        async with self._alone(f"{concurrency} requests of {context} tokens"):
            return await measure_decode(
                Batch(concurrency=concurrency, context=context),
                self._facts,
                client=self._client,
                prompts=self._prompts,
                read=self._read,
            )

    @asynccontextmanager
    async def _alone(self, what: str) -> AsyncIterator[None]:
        """Run a sample on an idle engine, and within the patience."""
        try:
            async with asyncio.timeout(_IDLE_SECONDS):
                while (await self._read()).in_flight:  # noqa: ASYNC110 - another process
                    await asyncio.sleep(_POLL_SECONDS)
        except TimeoutError:
            raise MeasuringFailed(f"the engine is still busy after {_IDLE_SECONDS:g} s") from None
        try:
            async with asyncio.timeout(self._patience):
                yield
        except TimeoutError:
            raise MeasuringFailed(f"{what}: not measured in {self._patience:g} s") from None
