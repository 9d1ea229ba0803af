"""A rig whose engines compute what a known law says, with noise: the profiler's own test bench."""

import asyncio
from collections.abc import AsyncIterator, Mapping
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import dataclass, field
from zlib import crc32

import numpy as np

from planner.core.engine import EngineModel
from planner.core.profile import Parallelism
from profiler.ports import (
    DecodeSample,
    Disturbed,
    EngineFacts,
    MeasuringFailed,
    PrefillSample,
    RunningEngine,
)

_STEPS = 64


@dataclass(kw_only=True)
class FakeRig:
    """Engines by parallelism; the same seed measures the same, in whatever order it is asked.

    *broken* parallelisms do not start and *hanging* ones never answer; asks in *failing* raise
    MeasuringFailed, those in *disturbed* are so that many times, and those in *stuck* never return.
    *asked* and *started* count what was done, *running* what was started and not ended.
    """

    engines: Mapping[Parallelism, EngineModel]
    noise: float = 0.0
    seed: int = 0
    context_length: int = 16_384
    tells_transfer: bool = True
    broken: frozenset[Parallelism] = frozenset()
    hanging: frozenset[Parallelism] = frozenset()
    failing: frozenset[str] = frozenset()
    stuck: frozenset[str] = frozenset()
    disturbed: dict[str, int] = field(default_factory=dict)
    asked: list[str] = field(default_factory=list)
    started: list[Parallelism] = field(default_factory=list)
    running: int = 0

    @property
    def identity(self) -> dict[str, str]:
        """What its measurements depend on."""
        return {"model": "fake", "gpu": "none", "seed": str(self.seed)}

    def engine(self, parallelism: Parallelism) -> AbstractAsyncContextManager[RunningEngine]:
        """Start an engine on entering, end it on leaving."""
        return self._engine(parallelism)

    @asynccontextmanager
    async def _engine(self, parallelism: Parallelism) -> AsyncIterator[RunningEngine]:
        self.started.append(parallelism)
        await asyncio.sleep(0)
        if parallelism in self.broken:
            raise MeasuringFailed("out of memory")
        self.running += 1
        try:
            if parallelism in self.hanging:
                await asyncio.Event().wait()
            yield _FakeEngine(self, parallelism)
        finally:
            self.running -= 1


class _FakeEngine:
    def __init__(self, rig: FakeRig, parallelism: Parallelism) -> None:
        self._rig = rig
        self._parallelism = parallelism
        self._model = rig.engines[parallelism]
        self._times: dict[str, int] = {}

    @property
    def facts(self) -> EngineFacts:
        """The limits of its model."""
        limits = self._model.limits
        return EngineFacts(
            start_up_seconds=30.0,
            max_num_seqs=limits.max_num_seqs,
            max_num_batched_tokens=limits.max_num_batched_tokens,
            block_size=limits.block_size,
            kv_capacity_tokens=limits.kv_capacity_tokens,
            context_length=self._rig.context_length,
            engine_version="fake 1",
            kv_bytes_per_token=limits.kv_bytes_per_token,
            transfer_bytes_per_second=limits.transfer_bytes_per_second
            if self._rig.tells_transfer
            else None,
        )

    async def prefill(self, isl: int) -> PrefillSample:
        """Return the law's time for the prompt, with noise."""
        noise = await self._noise(f"{self._parallelism} prefill {isl}")
        return PrefillSample(isl=isl, ttft_seconds=self._model.prompt_seconds(isl) * noise)

    async def decode(self, *, concurrency: int, context: int) -> DecodeSample:
        """Return the law's time at as many of the requests as fit, with noise."""
        noise = await self._noise(f"{self._parallelism} decode {concurrency}x{context}")
        batch = max(1, min(concurrency, self._model.batch_limit(context)))
        kv_tokens = batch * context
        return DecodeSample(
            batch=batch,
            kv_tokens=kv_tokens,
            itl_seconds=self._model.decode.step_seconds(batch, kv_tokens) * noise,
            steps=_STEPS,
        )

    async def _noise(self, ask: str) -> float:
        await asyncio.sleep(0)
        times = self._times.get(ask, 0)
        self._times[ask] = times + 1
        if not times:
            self._rig.asked.append(ask)
        if ask in self._rig.failing:
            raise MeasuringFailed("the engine answered 500")
        if self._rig.disturbed.get(ask, 0) > times:
            raise Disturbed("somebody else was busy")
        if ask in self._rig.stuck:
            await asyncio.Event().wait()
        rng = np.random.default_rng([self._rig.seed, crc32(ask.encode()), times])
        # The first time is slow: nothing is warm.
        return float(1 + self._rig.noise * rng.standard_normal()) * (1.0 if times else 1.5)
