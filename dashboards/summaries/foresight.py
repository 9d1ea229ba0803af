"""What perfect foresight would have taken for the load that a journal recorded.

The journal has no single requests. It has when they arrived, to a quarter of a second, the sum of
their prompts in each such bin, and the outputs of each interval: a load is made of these in which
requests of a bin have equal prompts, and those of an interval equal outputs.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from dashboards.reading.intervals import Interval
from planner.core.observation import Arrivals, Traffic
from planner.core.policy import PolicyConfig
from planner.core.profile import Profile
from planner.core.units import format_share
from planner.sim.backtest import scenario
from planner.sim.oracle import oracle
from planner.traces import Trace

Rows = list[dict[str, object]]
Request = tuple[float, float, float]
"""Arrival, seconds since the epoch; prompt and output, tokens."""

MOST_REQUESTS = 40_000
"""What is searched in some 10 s where the simulator is compiled."""
_EVALUATIONS = 40
"""Schedules that are simulated; `planner simulate --oracle` takes up to 200."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Foresight:
    """The cheapest schedule found for the load between two wall times, and how well it did."""

    since: float
    until: float
    requests: int
    gpu_hours: float
    attainment: float
    work_bound_gpu_hours: float
    """What the work alone takes, on engines that are always full."""


def searchable(intervals: Sequence[Interval], *, most: int = MOST_REQUESTS) -> list[Interval]:
    """Return the last of *intervals* that have at most *most* requests together."""
    chosen: list[Interval] = []
    for one in reversed(intervals):
        most -= one.traffic.arrived if one.traffic else 0
        if most < 0:
            break
        chosen.append(one)
    return chosen[::-1]


def foresight(
    intervals: Sequence[Interval],
    config: PolicyConfig,
    profile: Profile,
    *,
    progress: Callable[[float], None],
) -> Foresight | None:
    """Return what foresight would have taken for *intervals*; None where nothing is known of them.

    It begins with the fleet that was there, and knows the profile's engines and cold start.
    """
    trace = recorded_load(intervals)
    if trace is None:
        return None
    first = intervals[0].fleet
    initial = {role: max(1, first[role].current if role in first else 1) for role in config.roles}
    best = oracle(
        trace,
        scenario(config, profile, initial),
        attainment=config.sla.attainment,
        start_seconds=0.0,
        evaluations=_EVALUATIONS,
        progress=progress,
    )
    since = _start(intervals)
    return Foresight(
        since=since,
        until=since + trace.duration_seconds,
        requests=len(trace),
        gpu_hours=best.gpu_hours,
        attainment=best.attainment,
        work_bound_gpu_hours=best.work_bound_gpu_hours,
    )


def recorded_load(intervals: Sequence[Interval]) -> Trace | None:
    """Return the load of *intervals*, from the start of the first; None while outputs are unknown.

    Before the first request has finished, outputs are taken to be those of the first that did.
    """
    requests = list(_requests(intervals))
    if not requests:
        return None
    arrival, isl, osl = np.array(sorted(requests)).T
    return Trace(
        name="the journal",
        arrival_seconds=arrival - _start(intervals),
        isl=np.maximum(1, np.rint(isl)).astype(np.int64),
        osl=np.maximum(1, np.rint(osl)).astype(np.int64),
    )


def _start(intervals: Sequence[Interval]) -> float:
    first = intervals[0]
    return first.at - (first.traffic.seconds if first.traffic else 0.0)


def _requests(intervals: Sequence[Interval]) -> Iterator[Request]:
    told = [(one.at, one.traffic) for one in intervals if one.traffic is not None]
    osl = next((t.osl_sum / t.finished for _, t in told if t.finished), None)
    if osl is None:
        return
    for at, traffic in told:
        osl = traffic.osl_sum / traffic.finished if traffic.finished else osl
        for arrival, isl in _prompts(at, traffic):
            yield arrival, isl, osl


def _prompts(at: float, traffic: Traffic) -> Iterator[tuple[float, float]]:
    """Yield (arrival, prompt) of the interval that ended *at*, evenly within what is known."""
    bins = traffic.arrivals or Arrivals(
        bin_seconds=traffic.seconds,
        counts=(traffic.arrived,),
        isl=(round(traffic.isl_sum),),
        isl_squared=(0,),
    )
    start = at - bins.bin_seconds * len(bins.counts)
    for place, (count, tokens) in enumerate(zip(bins.counts, bins.isl, strict=True)):
        for number in range(count):
            yield start + (place + (number + 0.5) / count) * bins.bin_seconds, tokens / count


def against_rows(
    best: Foresight, held: dict[str, float], *, attained: float | None, price: float | None
) -> Rows:
    """Return a row for each of *held* GPU-hours by name, foresight's, and those of the work alone.

    *attained* is the share that the first of them, what was really held, attained.
    """
    shares = {next(iter(held)): attained, "perfect foresight": best.attainment}
    hours = {
        **held,
        "perfect foresight": best.gpu_hours,
        "the work alone": best.work_bound_gpu_hours,
    }
    return [
        {
            "fleet": name,
            "GPU-hours": f"{value:,.2f}",
            **({} if price is None else {"$": f"${value * price:,.2f}"}),
            "times foresight": f"{value / best.gpu_hours:.2f}x" if best.gpu_hours else "unknown",
            "attainment": "" if (share := shares.get(name)) is None else format_share(share),
        }
        for name, value in hours.items()
    ]
