"""The demand that an interval showed: replicas that would have kept the SLA on what arrived in it.

Where the source tells arrivals in short bins, prefill is a deadline problem and decode a matter of
how many requests are in flight at once. Otherwise, and for engines that do both, the queue model
says what the interval's rate would need if it went on.
"""

from dataclasses import dataclass
from functools import cached_property
from itertools import repeat

from planner.core.demand import engine_share, stay_seconds, ttft_slack
from planner.core.engine import EngineModel
from planner.core.observation import Arrivals
from planner.core.role import Role
from planner.core.sla import Sla
from planner.core.value import value
from planner.core.workload import Workload

Demands = tuple[float, ...]

# Share of the TTFT target that a prompt may wait at least, where it is late even without.
_LEAST_SLACK = 0.1
# Without a TTFT target prompts may be spread over this.
_LONGEST_SLACK_SECONDS = 30.0
# The most of a replica that a request counts as, where an engine holds not even one.
_MOST_SHARE_SECONDS = 3600.0


@value
class Recent:
    """What a role still has to do with earlier arrivals; empty until bins have been seen."""

    work: tuple[float, ...] = ()
    """Prefill work in engine-seconds by bins, of the last minute and of long prompts beyond it."""
    ahead: int = 0
    """How many of those bins are still to come."""
    seen_seconds: float = 0.0
    held: float = 0.0
    """Replicas that the requests being decoded fill."""


@dataclass(frozen=True, kw_only=True)  # without slots, to compute what follows from it once
class Target:
    """Who is to keep the SLA for which requests."""

    role: Role
    engine: EngineModel
    sla: Sla
    workload: Workload
    """Lengths as they are known; the rate does not matter."""

    @property
    def share_seconds(self) -> float:
        """Engine-seconds that one request takes of a replica."""
        return engine_share(self.role, self.engine, self.sla, self.workload)

    @cached_property
    def slack_seconds(self) -> float:
        """How long a long prompt may wait and still meet the TTFT target."""
        return ttft_slack(self.role, self.engine, self.sla, self.workload)


def by_arrivals(target: Target, recent: Recent, arrivals: Arrivals) -> tuple[Demands, Recent]:
    """Return the replicas that each bin of *arrivals* needed, and what is left of them."""
    if target.role is Role.PREFILL:
        return _prompts(target, recent, arrivals)
    return _outputs(target, recent, arrivals)


def _prompts(target: Target, recent: Recent, arrivals: Arrivals) -> tuple[Demands, Recent]:
    """Return the engines by which every prompt would have been prefilled in time."""
    from planner.core.horn import LOOK_BACK, UNITS, servers, spread  # loads numpy

    engine, workload = target.engine, target.workload
    step, base = arrivals.bin_seconds, _base_seconds(engine, workload)
    token, token_squared = engine.prefill.token_seconds, engine.prefill.token_squared_seconds
    work = list(recent.work)
    start = len(work) - recent.ahead
    end = start + len(arrivals.counts)
    work.extend(repeat(0.0, end - len(work)))
    bins = zip(arrivals.counts, arrivals.isl, arrivals.isl_squared, strict=True)
    for at, (count, isl, squared) in enumerate(bins, start):
        if count:
            seconds = token * isl + token_squared * squared + base * count
            # The long ones are most of the work: it is due over the time that they take.
            long = squared / isl if isl else 0.0
            longest = long * (token + token_squared * long)
            if longest < step:  # as nearly always: it saves two calls for each bin
                work[at] = int((work[at] + seconds) * UNITS + 0.5) / UNITS
            else:
                spread(work, at, seconds, longest=longest, bin_seconds=step)
    slack = _slack_seconds(target)
    demands = servers(work[:end], bins=len(arrivals.counts), bin_seconds=step, slack_seconds=slack)
    kept = tuple(work[max(0, end - LOOK_BACK) :])
    return tuple(demands.tolist()), Recent(work=kept, ahead=len(work) - end)


def _base_seconds(engine: EngineModel, workload: Workload) -> float:
    """Return a prompt's part of the time that every batch takes, in a busy pool."""
    budget = engine.limits.max_num_batched_tokens
    filled = max(budget - min(workload.isl, budget) / 2, budget / 2)
    return engine.prefill.base_seconds * min(1.0, workload.isl / filled)


def _slack_seconds(target: Target) -> float:
    if target.sla.ttft_seconds is None:
        return _LONGEST_SLACK_SECONDS
    return max(target.slack_seconds, _LEAST_SLACK * target.sla.ttft_seconds)


def _outputs(target: Target, recent: Recent, arrivals: Arrivals) -> tuple[Demands, Recent]:
    """Return the replicas that the requests in flight fill.

    A request leaves after a stay; half of one is the lag, so that a rise counts before it has
    filled the batches. What came before the first look is taken to be like what came since.
    """
    share = min(target.share_seconds, _MOST_SHARE_SECONDS)
    lag = stay_seconds(target.engine, target.sla, target.workload) / 2
    step = arrivals.bin_seconds
    seen = recent.seen_seconds + step * len(arrivals.counts)
    if recent.seen_seconds < 2 * lag:
        mean = (recent.seen_seconds * recent.held + share * sum(arrivals.counts)) / seen
        return (mean,) * len(arrivals.counts), Recent(seen_seconds=seen, held=mean)
    gain = step / (step + lag)
    held = recent.held
    demands = []
    for count in arrivals.counts:
        held += gain * (share * count / step - held)
        demands.append(held)
    return tuple(demands), Recent(seen_seconds=seen, held=held)
