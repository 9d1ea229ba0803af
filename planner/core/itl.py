"""Inter-token latency under load: how long steps get, and who is decoded in time."""

from math import inf, sqrt
from statistics import NormalDist

from planner.core.demand import batch_held, engine_share, request_work_seconds
from planner.core.engine import EngineModel
from planner.core.queueing import poisson_at_most
from planner.core.role import Role
from planner.core.sla import Sla
from planner.core.workload import Workload

_NORMAL = NormalDist()
# Outputs are skewed: most are shorter than the mean, and short ones average over fewer steps.
_TYPICAL_OUTPUT = 0.5


def mean_step_seconds(
    role: Role, engine: EngineModel, workload: Workload, *, replicas: int
) -> float:
    """Return the mean time between tokens on *replicas* that share *workload*.

    Of every second, rate * work goes to requests and the rest is base, paid once a step, so a step
    takes base / (1 - rate * work). Infinite where the work alone fills the second.
    """
    work = request_work_seconds(role, engine, workload)
    left = 1 - workload.rate_rps * work / replicas if replicas else -1.0
    return engine.decode.base_seconds / left if left > 0 else inf


def itl_attainment(
    role: Role, engine: EngineModel, sla: Sla, workload: Workload, *, replicas: int
) -> float:
    """Return the share of requests decoded within the ITL target and without a wait for memory."""
    batch = batch_held(role, engine, sla, workload)
    if not batch or not engine.decode_batch(sla.itl_seconds, workload.context_tokens):
        return 0.0
    load = workload.rate_rps * engine_share(role, engine, sla, workload)
    # Requests in flight are Poisson, however long each of them stays.
    share = poisson_at_most(replicas * batch, load * batch)
    if role is Role.AGGREGATED and sla.itl_seconds is not None:
        share *= _unstalled_share(engine, sla.itl_seconds, workload, replicas=replicas)
    return share


def _unstalled_share(
    engine: EngineModel, itl_seconds: float, workload: Workload, *, replicas: int
) -> float:
    """Return the share of requests whose tokens other prompts do not hold up for too long.

    Prompts come in at random, each holding up one step of everybody: over an output of n tokens
    that adds a variance of rate * step * prefill^2 / n to the mean time between tokens.
    """
    step = mean_step_seconds(Role.AGGREGATED, engine, workload, replicas=replicas)
    if step >= itl_seconds:
        return 0.0 if step == inf else 0.5
    prefill = engine.prefill
    stalled = prefill.base_seconds + prefill.marginal_seconds(workload.isl)
    squared = stalled**2 * workload.isl_mean_square / workload.isl**2
    tokens = max(1.0, _TYPICAL_OUTPUT * workload.osl)
    spread = sqrt(workload.rate_rps / replicas * step * squared / tokens)
    return _NORMAL.cdf((itl_seconds - step) / spread) if spread else 1.0
