"""How long the points of one engine take: an estimate, from guessed speeds and what it may hold."""

from dataclasses import dataclass

from planner.core.engine import DecodeLaw, PrefillLaw
from profiler.effort import Effort
from profiler.plan.gpu import Gpu
from profiler.plan.guess import guessed_laws
from profiler.plan.memory import Verdict
from profiler.plan.model import ModelShape
from profiler.ports import EngineFacts
from profiler.record import DecodeAsk
from profiler.sweep.scope import Scope
from profiler.target import Target

# Repeats that noise of 2 to 3 % usually takes.
_USUAL_REPEATS = 5
_DECODE_STEPS = 64
_LEAST_DECODING_SECONDS = 0.5
# Sending a prompt and following its answer, of the client that shares the machine.
_REQUEST_SECONDS = 0.005
_BLOCK_SIZE = 16


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """What bounds the load of an engine beside its memory, as it is or would be started.

    None is bounded by the memory, or by the model, alone.
    """

    max_num_seqs: int = 256
    max_num_batched_tokens: int = 8192
    context_length: int | None = None
    kv_tokens_per_gpu: int | None = None


def points_seconds(
    model: ModelShape,
    gpu: Gpu,
    found: Verdict,
    *,
    settings: Settings,
    effort: Effort,
    target: Target,
) -> float:
    """Return how many seconds all points of *found* take; points beyond its corners are like them.

    A decode point holds no more than its requests have context for, however large the memory is.
    """
    scope = Scope.of(_expected(model, found, settings), target)
    prefill, decode = guessed_laws(model, gpu, found.parallelism)
    repeats = effort.first_passes + min(effort.most_repeats, _USUAL_REPEATS)
    prompts = [
        repeats * (_prompt_seconds(prefill, ask.isl, settings) + effort.repeat_seconds)
        for ask in scope.prefill_corners
    ]
    batches = [
        _filling_seconds(prefill, ask, settings)
        + repeats * (_held_seconds(decode, ask) + effort.repeat_seconds)
        for ask in scope.decode_corners
    ]
    return effort.prefill_points * _mean(prompts) + effort.decode_points * _mean(batches)


def _expected(model: ModelShape, found: Verdict, settings: Settings) -> EngineFacts:
    """Return what the engine would tell of itself."""
    capacity = found.memory.kv_capacity_tokens
    if settings.kv_tokens_per_gpu is not None:
        capacity = min(capacity, settings.kv_tokens_per_gpu * found.parallelism.gpus)
    return EngineFacts(
        start_up_seconds=0.0,
        max_num_seqs=settings.max_num_seqs,
        max_num_batched_tokens=settings.max_num_batched_tokens,
        block_size=_BLOCK_SIZE,
        kv_capacity_tokens=capacity,
        context_length=min(model.context_length, settings.context_length or model.context_length),
        engine_version="",
    )


def _prompt_seconds(prefill: PrefillLaw, isl: float, settings: Settings) -> float:
    steps = 1 + isl / settings.max_num_batched_tokens
    return steps * prefill.base_seconds + prefill.marginal_seconds(isl)


def _filling_seconds(prefill: PrefillLaw, ask: DecodeAsk, settings: Settings) -> float:
    """Return what the first pass takes to compute all prompts; later ones find them cached."""
    steps = 1 + ask.concurrency * ask.context / settings.max_num_batched_tokens
    prompts = ask.concurrency * prefill.marginal_seconds(ask.context)
    return steps * prefill.base_seconds + prompts


def _held_seconds(decode: DecodeLaw, ask: DecodeAsk) -> float:
    step = decode.step_seconds(ask.concurrency, ask.concurrency * ask.context)
    decoding = max(_LEAST_DECODING_SECONDS, _DECODE_STEPS * step)
    return decoding + ask.concurrency * _REQUEST_SECONDS


def _mean(values: list[float]) -> float:
    return sum(values) / len(values)
