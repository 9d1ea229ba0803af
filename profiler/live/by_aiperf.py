"""The `RunningEngine` under aiperf's load: read as ever, and compared with what aiperf says."""

from collections.abc import Callable
from itertools import count

from profiler.live.decode import Batch
from profiler.live.reading import ReadEngine, grown
from profiler.live.steady import STEPS, sample_of, steady_steps
from profiler.loadgen.aiperf import Aiperf, AiperfLoad
from profiler.ports import DecodeSample, EngineFacts, MeasuringFailed, PrefillSample

_PROMPTS = 8
_TOLERATED = 0.05
"""Share by which two ways of measuring the same may differ without a word."""


class AiperfEngine:
    """Measures the engine that *read* reads under the load of *aiperf*.

    *differs* is told in a line where aiperf's own figure is over 5 % from the engine's.
    """

    def __init__(
        self,
        facts: EngineFacts,
        *,
        aiperf: Aiperf,
        read: ReadEngine,
        differs: Callable[[str], None],
    ) -> None:
        self._facts = facts
        self._aiperf = aiperf
        self._read = read
        self._differs = differs
        self._seeds = count(100)

    @property
    def facts(self) -> EngineFacts:
        """What the engine told when it became ready."""
        return self._facts

    async def prefill(self, isl: int) -> PrefillSample:
        """Return the mean over a few prompts, one after the other. Raises MeasuringFailed."""
        before = await self._read()
        load = self._load(isl=isl, osl=1, concurrency=1, requests=_PROMPTS)
        async with self._aiperf.run(load) as process:
            run = await process.finish()
        tokens = round(run.prompt_tokens)
        computed = grown(before, await self._read())
        if computed is None:
            return PrefillSample(isl=tokens, ttft_seconds=run.ttft_seconds)
        if computed.prefilled != round(run.prompt_tokens * run.requests):
            raise MeasuringFailed(
                f"the engine computed {computed.prefilled} of {run.prompt_tokens * run.requests:g}"
                " prompt tokens: the rest was in its cache"
            )
        seconds = computed.seconds / run.requests
        self._compare(f"isl {tokens}: ttft", run.ttft_seconds, seconds)
        return PrefillSample(isl=tokens, ttft_seconds=seconds)

    async def decode(self, *, concurrency: int, context: int) -> DecodeSample:
        """Return one measurement of a steady batch. Raises MeasuringFailed."""
        batch = Batch(concurrency=concurrency, context=context)
        osl = 4 * STEPS + 2 * batch.prefill_steps(self._facts)
        isl = batch.prompt_tokens(self._facts)
        load = self._load(isl=isl, osl=osl, concurrency=concurrency, requests=concurrency)
        async with self._aiperf.run(load) as process:
            computed = await steady_steps(self._read, requests=concurrency, check=process.check)
            run = await process.finish()
        if run.itl_seconds is None:
            raise MeasuringFailed("aiperf saw no second token")
        if computed is None:
            point = run.decode_point
            assert point is not None, "there was a second token"
            return DecodeSample(
                batch=point.batch, kv_tokens=point.kv_tokens, itl_seconds=run.itl_seconds, steps=osl
            )
        sample = sample_of(computed)
        what = f"concurrency {concurrency}, context {context}: itl"
        self._compare(what, run.itl_seconds, sample.itl_seconds)
        return sample

    def _load(self, *, isl: int, osl: int, concurrency: int, requests: int) -> AiperfLoad:
        return AiperfLoad(
            isl=isl, osl=osl, concurrency=concurrency, requests=requests, seed=next(self._seeds)
        )

    def _compare(self, what: str, theirs: float, engines: float) -> None:
        share = theirs / engines - 1
        if abs(share) > _TOLERATED:
            self._differs(
                f"{what} {theirs * 1e3:.4g}ms by aiperf, {engines * 1e3:.4g}ms by the engine"
                f" ({share:+.0%})"
            )
