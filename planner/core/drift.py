"""How far engines are from their profile: the time that their steps took over the model's."""

from dataclasses import replace
from functools import lru_cache

from planner.core.engine import DecodeLaw, EngineModel, PrefillLaw
from planner.core.observation import StepSums
from planner.core.role import Role

# A profile is trusted this far: beyond it something else is wrong, and more replicas are no answer.
_LEAST, _MOST = 0.5, 2.0
# Sums over all steps hardly vary, and too slow a fleet falls behind while this is being learned.
_SMOOTHING_SECONDS = 60.0
# Steps of replicas that became ready may be slow, since caches and graphs are still cold.
WARM_UP_SECONDS = 30.0


def model_seconds(role: Role, engine: EngineModel, steps: StepSums) -> float:
    """Return the time that *steps* take by the laws of *engine*: exact, since these are linear."""
    prefill, decode = engine.prefill, engine.decode
    decoding = 0.0 if role is Role.PREFILL else decode.base_seconds
    return (
        steps.prefill_steps * max(prefill.base_seconds, decoding)
        + (steps.steps - steps.prefill_steps) * decoding
        + steps.decoded * decode.request_seconds
        + steps.kv_tokens * decode.kv_token_seconds
        + steps.prefilled * prefill.token_seconds
        + steps.prefilled_squared * prefill.token_squared_seconds
    )


def slowness(
    before: float, role: Role, engine: EngineModel, steps: StepSums, *, seconds: float
) -> float:
    """Return by what factor engines are slower than *engine*, having seen *steps* in *seconds*.

    Smoothed over a minute and bounded; *before* is what it was, 1.0 at first.
    """
    model = model_seconds(role, engine, steps)
    if model <= 0:
        return before
    gain = min(1.0, seconds / _SMOOTHING_SECONDS)
    seen = min(_MOST, max(_LEAST, steps.seconds / model))
    return before + gain * (seen - before)


@lru_cache(maxsize=256)
def slowed(engine: EngineModel, percent: int) -> EngineModel:
    """Return *engine* with all of its times at *percent* of what they were."""
    factor = percent / 100
    prefill, decode = engine.prefill, engine.decode
    return replace(
        engine,
        prefill=PrefillLaw(
            base_seconds=prefill.base_seconds * factor,
            token_seconds=prefill.token_seconds * factor,
            token_squared_seconds=prefill.token_squared_seconds * factor,
        ),
        decode=DecodeLaw(
            base_seconds=decode.base_seconds * factor,
            request_seconds=decode.request_seconds * factor,
            kv_token_seconds=decode.kv_token_seconds * factor,
        ),
    )
