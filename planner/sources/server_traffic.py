"""Traffic out of what servers that were not started here count, each on its own.

They count requests when they end, and none tells when they arrive or how each one fared.
"""

from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass

from planner.core.observation import Latencies, Traffic
from planner.core.role import Role
from planner.core.sla import Sla
from planner.sources.distribution import Distribution, added, scaled
from planner.sources.readings import Counted

_NOTHING = Distribution(total=0.0, count=0.0)


@dataclass(frozen=True, slots=True, kw_only=True)
class Interval:
    """What one server did during *seconds*. *arrived* is None where it cannot be known."""

    role: Role
    seconds: float
    arrived: float | None
    counted: Counted
    itl_is_per_request: bool


def latencies(intervals: Sequence[Interval]) -> Latencies | None:
    """Return how latencies of all servers together are spread; None where one does not tell.

    Nothing of ITL where some count requests and some the gaps between tokens.
    """
    seconds = max((one.seconds for one in intervals), default=0.0)
    end = _of(intervals, Role.DECODE)
    ttft = itl = None
    if all(one.counted.ttft is not None for one in intervals):
        ttft = _ttft(intervals, seconds).quantiles
    if all(one.counted.itl is not None for one in end) and _count_alike(end):
        itl = (_amounts(end, seconds, lambda one: one.counted.itl) or _NOTHING).quantiles
    return None if ttft is None and itl is None else Latencies(ttft=ttft, itl=itl)


class ServedTraffic:
    """Adds up servers, and remembers how long prompts are while none ends.

    Disaggregated, requests are taken to reach a prefill server first and to end on a decode
    server: the ones tell of arrivals and prompts, the others of answers.
    """

    def __init__(self, sla: Sla | None) -> None:
        self._sla = sla
        self._prompts: Distribution | None = None

    def recall(self, prompts: Collection[Distribution]) -> None:
        """Take the lengths of *prompts*, all that servers ever counted, until newer ones end."""
        before = added(list(prompts))
        if self._prompts is None and before.count > 0:
            self._prompts = before

    def traffic(self, intervals: Sequence[Interval]) -> Traffic | None:
        """Return what they did together; None while any part of it is not known.

        Their windows differ when one missed a look. Rates are what adds up, so each one's counts
        are stretched to the longest window.
        """
        seconds = max((one.seconds for one in intervals), default=0.0)
        entry = _of(intervals, Role.PREFILL)
        end = _of(intervals, Role.DECODE)
        arrived = _sum(entry, seconds, lambda one: one.arrived)
        finished = _sum(end, seconds, lambda one: one.counted.finished)
        outputs = _amounts(end, seconds, lambda one: one.counted.outputs)
        prompts = self._lengths(_amounts(entry, seconds, lambda one: one.counted.prompts))
        if arrived is None or finished is None or outputs is None:
            return None
        if (arrived and prompts.mean is None) or (finished and outputs.mean is None):
            return None
        arrived, finished = round(arrived), round(finished)
        ttft = _ttft(intervals, seconds)
        itl = _amounts(end, seconds, lambda one: one.counted.itl) or _NOTHING
        within = self._share_within(end, ttft=ttft, itl=itl)
        return Traffic(
            seconds=seconds,
            arrived=arrived,
            isl_sum=arrived * (prompts.mean or 0.0),
            isl_squared_sum=arrived * prompts.square_sum / prompts.count if prompts.count else 0.0,
            finished=finished,
            osl_sum=finished * (outputs.mean or 0.0),
            failed=round(_sum(end, seconds, lambda one: one.counted.failed) or 0.0),
            within_sla=None if within is None else round(finished * within),
            ttft_sum=ttft.total,
            ttft_count=round(ttft.count),
            itl_sum=itl.total,
            itl_count=round(itl.count),
        )

    def _lengths(self, prompts: Distribution | None) -> Distribution:
        if prompts is not None and prompts.count > 0:
            self._prompts = prompts
        return self._prompts or _NOTHING

    def _share_within(
        self, end: Sequence[Interval], *, ttft: Distribution, itl: Distribution
    ) -> float | None:
        is_per_request = all(one.itl_is_per_request for one in end)
        return share_within(self._sla, ttft=ttft, itl=itl if is_per_request else _NOTHING)


def share_within(sla: Sla | None, *, ttft: Distribution, itl: Distribution) -> float | None:
    """Return the share of requests inside the targets of *sla*; None where the edges do not tell.

    With two targets it is the least that it can be: who is late for both counts twice.
    """
    targets = [(ttft, sla.ttft_seconds), (itl, sla.itl_seconds)] if sla is not None else []
    shares = [one.share_up_to(limit) for one, limit in targets if limit is not None]
    known = [share for share in shares if share is not None]
    if not known or len(known) < len(shares):
        return None
    return max(0.0, 1 - sum(1 - share for share in known))


def _count_alike(intervals: Sequence[Interval]) -> bool:
    return len({one.itl_is_per_request for one in intervals}) == 1


def _of(intervals: Sequence[Interval], role: Role) -> Sequence[Interval]:
    """Return those of *role*, or all where it has none."""
    return [one for one in intervals if one.role is role] or intervals


def _ttft(intervals: Sequence[Interval], seconds: float) -> Distribution:
    """Return what users wait for the first token, as far as servers see it.

    Disaggregated, that is the prefill server's time and then the decode server's: only the means
    add up, so nothing is left of how they are spread.
    """
    parts = {
        role: _amounts([i for i in intervals if i.role is role], seconds, lambda i: i.counted.ttft)
        for role in Role
    }
    first, then = parts[Role.PREFILL], parts[Role.DECODE]
    if first is None or then is None:
        return next((part for part in parts.values() if part is not None), _NOTHING)
    if first.mean is None or then.mean is None:
        return _NOTHING
    return Distribution(total=(first.mean + then.mean) * then.count, count=then.count)


def _sum(
    intervals: Sequence[Interval], seconds: float, figure: Callable[[Interval], float | None]
) -> float | None:
    known = [
        value * seconds / one.seconds for one in intervals if (value := figure(one)) is not None
    ]
    return sum(known) if known else None


def _amounts(
    intervals: Sequence[Interval],
    seconds: float,
    figure: Callable[[Interval], Distribution | None],
) -> Distribution | None:
    known = [
        scaled(value, seconds / one.seconds)
        for one in intervals
        if (value := figure(one)) is not None
    ]
    return added(known) if known else None
