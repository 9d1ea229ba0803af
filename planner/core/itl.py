"""Inter-token latency under load: how long steps get, and who is decoded in time."""

from dataclasses import dataclass
from math import exp, inf

from planner.core.demand import decode_work_seconds, marginal_prefill_seconds
from planner.core.engine import EngineModel
from planner.core.prompts import prompts
from planner.core.queueing import poisson_at_most
from planner.core.role import Role
from planner.core.sla import Sla
from planner.core.workload import Workload

# Each makes steps and the prompts that come during one agree better, always from below.
_ROUNDS = 8
# Outputs of equal shares of requests over their mean, as lengths without memory have them: short
# ones average over fewer steps.
_OUTPUTS = (0.13, 0.47, 0.98, 2.42)


def mean_step_seconds(
    role: Role, engine: EngineModel, workload: Workload, *, replicas: int
) -> float:
    """Return the mean time between tokens on *replicas* that share *workload*.

    Of every second, rate * work goes to requests and the rest is base, paid once a step, so a step
    takes base / (1 - rate * work). Where prompts are prefilled in it, the longer base of those is
    paid once for all that come during a step. Infinite where the work alone fills the second.
    """
    rate_rps = workload.rate_rps / replicas if replicas else inf
    left = 1 - rate_rps * _work_seconds(role, engine, workload)
    if left <= 0:
        return inf
    step = engine.decode.base_seconds / left
    if role is not Role.AGGREGATED:
        return step
    extra = max(0.0, engine.prefill.base_seconds - engine.decode.base_seconds)
    chunks = max(1.0, workload.isl / engine.limits.max_num_batched_tokens)
    for _ in range(_ROUNDS):
        prefilling = 1 - exp(-rate_rps * chunks * step)
        step = (engine.decode.base_seconds + extra * prefilling) / left
    return step


def _work_seconds(role: Role, engine: EngineModel, workload: Workload) -> float:
    work = decode_work_seconds(engine, workload)
    if role is Role.AGGREGATED:
        work += marginal_prefill_seconds(engine, workload)
    return work


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
        variance_ratio=_variance_ratio(engine, workload, step, replicas=replicas),
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


def _variance_ratio(
    engine: EngineModel, workload: Workload, step_seconds: float, *, replicas: int
) -> float:
    """Return the variance of the number of requests in flight over its mean.

    Requests that share steps share an engine: n in flight leave at the rate n / (base + n * w), so
    n is negative binomial, whatever the lengths, with base / (base + mean * w) for its ratio. What
    prefill adds to the steps slows all of them down.
    """
    decoding = workload.rate_rps / replicas * decode_work_seconds(engine, workload)
    return 1 + decoding * step_seconds / engine.decode.base_seconds


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
    mean times its mean; and a single prompt that is long enough will do.
    """
    found = prompts(Role.AGGREGATED, engine, workload)
    base, work = engine.prefill.base_seconds, found.work_seconds
    stall = base + work
    ratio = (base**2 + 2 * base * work + found.work_mean_square) / stall
    arrivals = workload.rate_rps / replicas * step_seconds
    room = itl_seconds - step_seconds + arrivals * stall
    share = 0.0
    for tokens in (part * workload.osl for part in _OUTPUTS):
        spent = poisson_at_most(room * tokens / ratio, arrivals * stall * tokens / ratio)
        long = sum(part for part, own in found.own_seconds if own > room * tokens)
        share += min(spent, exp(-arrivals * tokens * long))
    return share / len(_OUTPUTS)
