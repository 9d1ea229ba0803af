"""Time to first token under load: waiting for an engine, and for the batch that one is part of."""

from collections.abc import Iterator
from dataclasses import dataclass
from math import exp, inf
from typing import Protocol

from planner.core.demand import decode_work_seconds, own_ttft_seconds
from planner.core.engine import EngineModel
from planner.core.pool import prefill_queue
from planner.core.prompts import Prompts, prompts
from planner.core.role import Role
from planner.core.sla import Sla
from planner.core.workload import Workload

_MANY = 50.0
_NEGLIGIBLE = 1e-7


class _Queue(Protocol):
    def late_share(self, slack_seconds: float) -> float:
        """Return the share of prompts that are late with that much beside their own time."""
        ...


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
    found = prompts(role, engine, workload)
    queue = _queue(role, engine, workload, found, replicas=replicas, step_seconds=step_seconds)
    if queue is None:
        return 0.0
    room = sla.ttft_seconds - _beside_seconds(role, engine, step_seconds)
    late = 0.0
    for share, own in found.own_seconds:
        late += share * (queue.late_share(room - own) if room >= own else 1.0)
    return max(0.0, 1 - late)


def _beside_seconds(role: Role, engine: EngineModel, step_seconds: float) -> float:
    """Return what decode steps of *step_seconds* add to the TTFT of any prompt."""
    return own_ttft_seconds(role, engine, 1, step_seconds=step_seconds) - own_ttft_seconds(
        role, engine, 1, step_seconds=0.0
    )


def _queue(
    role: Role,
    engine: EngineModel,
    workload: Workload,
    found: Prompts,
    *,
    replicas: int,
    step_seconds: float,
) -> _Queue | None:
    rate_rps = workload.rate_rps
    if role is Role.PREFILL:
        return prefill_queue(engine, found, isl=workload.isl, rate_rps=rate_rps, replicas=replicas)
    return _own_queue(
        engine, workload, found, rate_rps=rate_rps / replicas, step_seconds=step_seconds
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class _OwnQueue:
    """Prompts wait for the end of a step of their engine and go into the next one together."""

    share: float
    """Of prompts that arrive during a step which prefills."""
    step_seconds: float
    others: tuple[tuple[float, float], ...]
    """What prompts that come during the same step add to the next: seconds, and their share."""

    def late_share(self, slack_seconds: float) -> float:
        """Return the share for which the rest of that step and the others' work are too long."""
        return self.share * sum(
            share * self._outlasts(slack_seconds - seconds) for seconds, share in self.others
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
    engine: EngineModel,
    workload: Workload,
    found: Prompts,
    *,
    rate_rps: float,
    step_seconds: float,
) -> _OwnQueue:
    """Return the queue of one aggregated engine whose steps take *step_seconds* on average.

    A step that prefills lasts base + work for each prompt of the step before, so (base + work) /
    (1 - rate * work) on average; an arrival finds a longer one, by its variance over its mean.
    """
    work = found.work_seconds
    decoding = step_seconds * rate_rps * decode_work_seconds(engine, workload)
    base = max(engine.prefill.base_seconds, engine.decode.base_seconds) + decoding
    left = 1 - rate_rps * work  # above 0: the mean step would be infinite otherwise
    mean = (base + work) / left
    batch = 1 + rate_rps * mean
    step = mean + found.work_mean_square * rate_rps
    return _OwnQueue(
        share=min(1.0, rate_rps * (work + base / batch)),
        step_seconds=step,
        others=tuple((count * work, share) for count, share in _poisson(rate_rps * step)),
    )
