"""What a workload asks of engines: replicas as a real number, from the sum of per-request work.

Work and not mean lengths times rate: prefill time is convex in the prompt, so a few long prompts
weigh more than their mean says.
"""

from math import inf

from planner.core.engine import EngineModel
from planner.core.role import Role
from planner.core.sla import Sla
from planner.core.workload import Workload

# Prompts that share a batch under load, each waiting for all of them.
_SHARED_PROMPTS = 4


def engine_share(role: Role, engine: EngineModel, sla: Sla, workload: Workload) -> float:
    """Return the engine-seconds that one request of *workload* takes of a replica of *role*.

    Its inverse is the rate that one replica holds before anything is set aside for waiting.
    """
    if role is Role.PREFILL:
        return prefill_seconds(engine, workload)
    work = request_work_seconds(role, engine, workload)
    return _decode_share(engine, sla.itl_seconds, workload, work=work)


def request_work_seconds(role: Role, engine: EngineModel, workload: Workload) -> float:
    """Return what one request adds to the steps of the decoding replica that serves it."""
    work = decode_work_seconds(engine, workload)
    if role is Role.AGGREGATED:
        work += _mixed_prefill_seconds(engine, workload)
    return work


def prefill_seconds(engine: EngineModel, workload: Workload) -> float:
    """Return a prompt's mean prefill time in a busy pool, where batches share their base.

    A batch is filled up to the token budget, less half of a prompt that does not fit any more.
    """
    budget = engine.limits.max_num_batched_tokens
    filled = max(budget - min(workload.isl, budget) / 2, budget / 2)
    return marginal_prefill_seconds(engine, workload) + engine.prefill.base_seconds * (
        min(1.0, workload.isl / filled)
    )


def marginal_prefill_seconds(engine: EngineModel, workload: Workload) -> float:
    """Return what a prompt adds to its batch, on average."""
    law = engine.prefill
    return law.token_seconds * workload.isl + law.token_squared_seconds * workload.isl_mean_square


def _mixed_prefill_seconds(engine: EngineModel, workload: Workload) -> float:
    """Return the time that prefilling one prompt adds to an engine's decode steps.

    Every step with a chunk in it pays the larger of the two bases.
    """
    steps = max(1.0, workload.isl / engine.limits.max_num_batched_tokens)
    extra_base = max(0.0, engine.prefill.base_seconds - engine.decode.base_seconds)
    return marginal_prefill_seconds(engine, workload) + steps * extra_base


def decode_work_seconds(engine: EngineModel, workload: Workload) -> float:
    """Return what decoding one request adds to all the steps it takes part in."""
    law = engine.decode
    return (
        law.request_seconds * workload.osl + law.kv_token_seconds * workload.decode_token_contexts
    )


def _decode_share(
    engine: EngineModel, itl_seconds: float | None, workload: Workload, *, work: float
) -> float:
    """Return the engine-seconds of a request whose steps carry *work* seconds of it in all.

    At rate r a step takes base / (1 - r * work), since r * work of every second goes to requests:
    ITL stays at its target up to r = (1 - base / target) / work. A full batch of B requests leaves
    at r = B / (osl * base + B * work). The tighter of both binds.
    """
    base = engine.decode.base_seconds
    batch = engine.batch_limit(workload.isl + workload.osl)
    if not batch or (itl_seconds is not None and itl_seconds <= base):
        return inf
    by_memory = work + workload.osl * base / batch
    by_itl = 0.0 if itl_seconds is None else work * itl_seconds / (itl_seconds - base)
    return max(by_memory, by_itl)


def ttft_slack(role: Role, engine: EngineModel, sla: Sla, workload: Workload) -> float:
    """Return how long a long prompt of *workload* may wait and still meet the TTFT target.

    Negative when it is late without any wait. Its batch holds other prompts too under load.
    """
    if sla.ttft_seconds is None:
        return inf
    budget = engine.limits.max_num_batched_tokens
    shared = min(budget, _SHARED_PROMPTS * workload.isl)
    longest = max(workload.isl_quantile(0.9), shared)
    return sla.ttft_seconds - own_ttft_seconds(role, engine, longest)


def own_ttft_seconds(
    role: Role, engine: EngineModel, isl: float, *, step_seconds: float | None = None
) -> float:
    """Return the TTFT of a prompt that finds nobody waiting.

    Disaggregated, prefill is followed by the transfer of the KV cache, the rest of the decode step
    under way and one of its own, which yields the token; aggregated, prefill begins after the step
    under way and yields it. *step_seconds* is the mean decode step, of an idle engine by default.
    """
    step = engine.decode.base_seconds if step_seconds is None else step_seconds
    if role is Role.PREFILL:
        return engine.prompt_seconds(isl) + engine.transfer_seconds(isl) + 1.5 * step
    beside = max(0.0, step - engine.decode.base_seconds)
    return engine.prompt_seconds(isl) + beside + step / 2


def spread_seconds(role: Role, engine: EngineModel, sla: Sla, workload: Workload) -> float:
    """Return the time over which the work of requests that arrive together may be spread.

    For prefill that is the slack of the TTFT target; a decoding replica works on a request for as
    long as the ITL target lets it stay, on average half of that from any moment on.
    """
    if role is Role.PREFILL:
        slack = ttft_slack(role, engine, sla, workload)
        return 0.0 if slack == inf else max(0.0, slack)
    return stay_seconds(engine, sla, workload) / 2


def stay_seconds(engine: EngineModel, sla: Sla, workload: Workload) -> float:
    """Return how long a request is decoded at the ITL target, or without one in full batches."""
    if sla.itl_seconds is not None:
        return workload.osl * sla.itl_seconds
    batch = engine.batch_limit(workload.isl + workload.osl)
    return workload.osl * engine.decode.step_seconds(batch, batch * workload.context_tokens)


def batch_held(role: Role, engine: EngineModel, sla: Sla, workload: Workload) -> float:
    """Return the requests in flight of a decoding replica that is used up.

    By Little's law at the ITL target, or all that fit when that ends first.
    """
    most = float(engine.batch_limit(workload.isl + workload.osl))
    if sla.itl_seconds is None:
        return most
    share = engine_share(role, engine, sla, workload)
    return min(most, workload.osl * sla.itl_seconds / share)
