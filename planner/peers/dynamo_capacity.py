"""What Dynamo 1.6's planner takes one engine to do: requests a second, and the next latencies.

The engine model takes the place of its regressions over forward passes, so their errors are not
held against it. No prefix is reused and nothing is speculated.
"""

from math import ceil, floor

from planner.core.engine import EngineModel
from planner.core.role import Role
from planner.core.sla import Sla


def engine_rps(role: Role, engine: EngineModel, sla: Sla, *, isl: float, osl: float) -> float:
    """Return the most requests a second of one engine of *role*, within *sla* where it can be."""
    if role is Role.PREFILL:
        return _prefill_rps(engine, sla.ttft_seconds, isl)
    if role is Role.DECODE:
        return _decode_rps(engine, sla.itl_seconds, isl, osl)
    return _aggregated_rps(engine, sla, isl, osl)


def _prefill_rps(engine: EngineModel, ttft_seconds: float | None, isl: float) -> float:
    """Return b / T(b * isl) at the largest batch within the token budget and, if any is, in time.

    T is the time of the whole batch, so a larger one is never slower by the request.
    """
    limits, work = engine.limits, engine.prefill.marginal_seconds(isl)
    batch = max(1, min(limits.max_num_seqs, floor(limits.max_num_batched_tokens / isl)))
    if ttft_seconds is not None and engine.prompt_seconds(isl) <= ttft_seconds:
        in_time = floor((ttft_seconds - engine.prefill.base_seconds) / work)
        batch = max(1, min(batch, in_time))
    return (
        1 / engine.prompt_seconds(isl) if batch == 1 else batch / _batch_seconds(engine, batch, isl)
    )


def _batch_seconds(engine: EngineModel, batch: int, isl: float) -> float:
    return engine.prefill.base_seconds + batch * engine.prefill.marginal_seconds(isl)


def _decode_rps(engine: EngineModel, itl_seconds: float | None, isl: float, osl: float) -> float:
    """Return b / (osl * ITL(b)) at the largest batch in time, or that fits where none is."""
    context = isl + osl / 2
    batch = engine.decode_batch(itl_seconds, context) or max(1, engine.batch_limit(context))
    return batch / (osl * engine.decode.step_seconds(batch, batch * context))


def _aggregated_rps(engine: EngineModel, sla: Sla, isl: float, osl: float) -> float:
    """Return b / e2e(b) at the largest batch in time, or at one request where none is.

    Every step takes b * isl / osl prompt tokens along, which have to fit beside the batch.
    """
    low, high = 1, max(1, engine.batch_limit(isl + osl / 2))
    while low < high:
        middle = (low + high + 1) // 2
        low, high = (middle, high) if _fits(engine, sla, middle, isl, osl) else (low, middle - 1)
    itl = mixed_step_seconds(engine, batch=low, kv_tokens=low * (isl + osl / 2), isl=isl, osl=osl)
    ttft = next_ttft_seconds(engine, queued=low / osl, isl=isl, batch=low, kv_tokens=low * isl)
    return low / (ttft + itl * max(0.0, osl - 1))


def _fits(engine: EngineModel, sla: Sla, batch: int, isl: float, osl: float) -> bool:
    if ceil(batch * isl / osl) > engine.limits.max_num_batched_tokens - batch:
        return False
    kv_tokens = batch * (isl + osl / 2)
    itl = mixed_step_seconds(engine, batch=batch, kv_tokens=kv_tokens, isl=isl, osl=osl)
    ttft = next_ttft_seconds(engine, queued=batch / osl, isl=isl, batch=batch, kv_tokens=kv_tokens)
    return (sla.itl_seconds is None or itl <= sla.itl_seconds) and (
        sla.ttft_seconds is None or ttft <= sla.ttft_seconds
    )


def mixed_step_seconds(
    engine: EngineModel, *, batch: float, kv_tokens: float, isl: float, osl: float
) -> float:
    """Return the time of a step of an aggregated engine in steady state: batch / osl prompts in it.

    One in that many steps has a prompt, and its larger base is paid in proportion.
    """
    prompts = batch / osl
    extra = max(0.0, engine.prefill.base_seconds - engine.decode.base_seconds)
    decoding = engine.decode.step_seconds(batch, kv_tokens)
    return decoding + prompts * engine.prefill.marginal_seconds(isl) + min(1.0, prompts) * extra


def next_ttft_seconds(
    engine: EngineModel, *, queued: float, isl: float, batch: float = 0.0, kv_tokens: float = 0.0
) -> float:
    """Return the TTFT of one more prompt behind *queued* ones of the mean length *isl*.

    All of them are drained in steps of the token budget, beside a *batch* that decodes.
    """
    tokens = (queued + 1) * isl
    steps = ceil(tokens / engine.limits.max_num_batched_tokens)
    decoding = engine.decode.step_seconds(batch, kv_tokens) - engine.decode.base_seconds
    base = engine.prefill.base_seconds + (decoding if batch else 0.0)
    return steps * base + (queued + 1) * engine.prefill.marginal_seconds(isl)
