"""Inter-token latency under load: how long steps get, and who is decoded in time."""

from dataclasses import dataclass
from math import inf

from planner.core.demand import decode_work_seconds, request_work_seconds
from planner.core.engine import EngineModel
from planner.core.prompts import prompts
from planner.core.queueing import poisson_at_most
from planner.core.role import Role
from planner.core.sla import Sla
from planner.core.workload import Workload

# Outputs of equal shares of requests over their mean, as lengths without memory have them: short
# ones average over fewer steps.
_OUTPUTS = (0.13, 0.47, 0.98, 2.42)


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
    if not engine.decode_batch(sla.itl_seconds, workload.context_tokens):
        return 0.0
    step = mean_step_seconds(role, engine, workload, replicas=replicas)
    most = engine.batch_limit(workload.isl + workload.osl)
    if step == inf or not most:
        return 0.0
    flight = _InFlight(
        mean=workload.rate_rps * workload.osl * step / replicas,
        variance_ratio=_variance_ratio(role, engine, workload, replicas=replicas),
        replicas=replicas,
    )
    share = flight.at_most(most, mixed=workload.isl_variance / (workload.isl + workload.osl) ** 2)
    if sla.itl_seconds is None:
        return share
    decode = engine.decode
    marginal = decode.marginal_seconds(workload.context_tokens)
    if marginal > 0:
        mixed = workload.isl_variance * (decode.kv_token_seconds / marginal) ** 2
        in_time = (sla.itl_seconds - decode.base_seconds) / marginal
        share = min(share, flight.at_most(in_time, mixed=mixed))
    if role is Role.AGGREGATED:
        share *= _unstalled_share(engine, sla.itl_seconds, workload, step, replicas=replicas)
    return share


@dataclass(frozen=True, slots=True, kw_only=True)
class _InFlight:
    """Requests in flight on one of several replicas among which they are spread evenly."""

    mean: float
    variance_ratio: float
    replicas: int

    def at_most(self, limit: float, *, mixed: float) -> float:
        """Return the share of arrivals that find room below *limit* for themselves.

        Requests weigh differently, *mixed* being the squared coefficient of variation. Numbers are
        spread over the replicas, weights are not, so their own part stays on each.
        """
        ratio = self.variance_ratio * (1 + mixed) / self.replicas + mixed
        room = limit - 1 / self.replicas
        return poisson_at_most(room / ratio, self.mean / ratio)


def _variance_ratio(role: Role, engine: EngineModel, workload: Workload, *, replicas: int) -> float:
    """Return the variance of the number of requests in flight over its mean.

    Requests that share steps share an engine: n in flight leave at the rate n / (base + n * w), so
    n is negative binomial, whatever the lengths. What prefill takes of the time slows all down.
    """
    rate_rps = workload.rate_rps / replicas
    decoding = rate_rps * decode_work_seconds(engine, workload)
    prefilling = rate_rps * request_work_seconds(role, engine, workload) - decoding
    return 1 / (1 - decoding / (1 - prefilling))


def _unstalled_share(
    engine: EngineModel,
    itl_seconds: float,
    workload: Workload,
    step_seconds: float,
    *,
    replicas: int,
) -> float:
    """Return the share of requests whose tokens other prompts do not hold up for too long.

    Prompts come in at random, each holding up one step of everybody. What an output waits for
    them is a sum of a random number of random times, whose variance is the mean square over the
    mean times its mean.
    """
    found = prompts(Role.AGGREGATED, engine, workload)
    base, work = engine.prefill.base_seconds, found.work_seconds
    stall = base + work
    ratio = (base**2 + 2 * base * work + found.work_mean_square) / stall
    stalled = workload.rate_rps / replicas * step_seconds * stall
    room = itl_seconds - step_seconds + stalled
    share = sum(
        poisson_at_most(room * tokens / ratio, stalled * tokens / ratio)
        for tokens in (part * workload.osl for part in _OUTPUTS)
    )
    return share / len(_OUTPUTS)
