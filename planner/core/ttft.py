"""Time to first token under load: waiting for an engine, and for the batch that one is part of."""

from collections.abc import Iterator
from dataclasses import dataclass
from math import exp, inf
from typing import Protocol

from planner.core.demand import (
    decode_work_seconds,
    marginal_prefill_seconds,
    own_ttft_seconds,
    prefill_second_moment_ratio,
)
from planner.core.engine import EngineModel
from planner.core.queueing import Wait, wait
from planner.core.role import Role
from planner.core.sla import Sla
from planner.core.workload import Workload

_BISECTIONS = 10
_MANY = 50.0
_NEGLIGIBLE = 1e-9


def ttft_attainment(
    role: Role,
    engine: EngineModel,
    sla: Sla,
    workload: Workload,
    *,
    replicas: int,
    step_seconds: float,
) -> float:
    """Return the share of requests whose first token comes within the TTFT target.

    *step_seconds* is the mean step of the engines that decode, infinite when they are overloaded.
    """
    if sla.ttft_seconds is None:
        return 1.0
    if step_seconds == inf:
        return 0.0
    queue = _queue(role, engine, workload, replicas=replicas, step_seconds=step_seconds)
    late = 0.0
    for share, isl in workload.isl_strata():
        own = own_ttft_seconds(role, engine, isl, step_seconds=step_seconds)
        slack = sla.ttft_seconds - own
        late += share * (queue.late_share(slack) if slack >= 0 else 1.0)
    return max(0.0, 1 - late)


class _Queue(Protocol):
    def late_share(self, slack_seconds: float) -> float:
        """Return the share of prompts that are late with that much beside their own time."""
        ...


def _queue(
    role: Role, engine: EngineModel, workload: Workload, *, replicas: int, step_seconds: float
) -> _Queue:
    if role is Role.PREFILL:
        return _shared_queue(engine, workload, replicas=replicas)
    rate_rps = workload.rate_rps / replicas
    return _own_queue(engine, workload, rate_rps=rate_rps, step_seconds=step_seconds)


@dataclass(frozen=True, slots=True, kw_only=True)
class _SharedQueue:
    """Prompts wait for the first of many engines, which takes all that wait as one batch."""

    wait: Wait
    others_seconds: float
    """What the others of the batch add to the time of a prompt that had to wait."""

    def late_share(self, slack_seconds: float) -> float:
        return self.wait.above(max(0.0, slack_seconds - self.others_seconds))


def _shared_queue(engine: EngineModel, workload: Workload, *, replicas: int) -> _SharedQueue:
    """Return the queue before *replicas* engines that prefill.

    The weights are read once a batch, so the busier the engines, the larger the batches and the
    shorter a prompt's part of the base: the batch size is where both agree.
    """
    work, base = marginal_prefill_seconds(engine, workload), engine.prefill.base_seconds
    variability = prefill_second_moment_ratio(engine, workload) / 2
    most = max(1.0, engine.limits.max_num_batched_tokens / workload.isl)

    def queued(batch: float) -> tuple[Wait, float]:
        load = workload.rate_rps * (work + base / batch)
        found = wait(replicas, load, service_seconds=work + base, variability=variability)
        others = load / (replicas - load) if load < replicas else inf
        return found, min(others, most - 1)

    low, high = 1.0, most
    for _ in range(_BISECTIONS):
        batch = (low + high) / 2
        found, others = queued(batch)
        low, high = (batch, high) if 1 + found.share * others > batch else (low, batch)
    found, others = queued(high)
    return _SharedQueue(wait=found, others_seconds=others * work)


@dataclass(frozen=True, slots=True, kw_only=True)
class _OwnQueue:
    """Prompts wait for the end of a step of their engine and go into the next one together."""

    share: float
    """Of prompts that arrive during a step which prefills."""
    step_seconds: float
    rate_rps: float
    work_seconds: float

    def late_share(self, slack_seconds: float) -> float:
        """Return the share for which the rest of that step and the others' work are too long."""
        return self.share * sum(
            share * self._outlasts(slack_seconds - others * self.work_seconds)
            for others, share in _poisson(self.rate_rps * self.step_seconds)
        )

    def _outlasts(self, seconds: float) -> float:
        """Return the share of arrivals after which the step lasts longer than *seconds*."""
        return min(1.0, max(0.0, 1 - seconds / self.step_seconds))


def _poisson(mean: float) -> Iterator[tuple[float, float]]:
    """Yield (count, share) of a Poisson number; a large one is taken at its mean."""
    if mean > _MANY:
        yield mean, 1.0
        return
    share, left, count = exp(-mean), 1.0, 0
    while left > _NEGLIGIBLE:
        yield count, share
        left -= share
        count += 1
        share *= mean / count


def _own_queue(
    engine: EngineModel, workload: Workload, *, rate_rps: float, step_seconds: float
) -> _OwnQueue:
    """Return the queue of one aggregated engine whose steps take *step_seconds* on average.

    A step that prefills lasts base + work for each prompt of the step before, so (base + work) /
    (1 - rate * work) on average; an arrival finds a longer one, by its variance over its mean.
    """
    work = marginal_prefill_seconds(engine, workload)
    decoding = step_seconds * rate_rps * decode_work_seconds(engine, workload)
    base = max(engine.prefill.base_seconds, engine.decode.base_seconds) + decoding
    left = 1 - rate_rps * work  # above 0: the mean step would be infinite otherwise
    mean = (base + work) / left
    squared = work**2 * prefill_second_moment_ratio(engine, workload)
    batch = 1 + rate_rps * mean
    return _OwnQueue(
        share=min(1.0, rate_rps * (work + base / batch)),
        step_seconds=mean + squared * rate_rps,
        rate_rps=rate_rps,
        work_seconds=work,
    )
