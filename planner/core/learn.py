"""Turns one observation into memory: lengths, demand in replicas, and how good forecasts were."""

from dataclasses import replace
from typing import NamedTuple

from planner.core.demand import spread_seconds
from planner.core.drift import WARM_UP_SECONDS, slowed, slowness
from planner.core.engine import EngineModel
from planner.core.forecast import without_past
from planner.core.headroom import Interval, Series, learned
from planner.core.observation import Observation, Traffic
from planner.core.policy import PolicyConfig
from planner.core.role import Role
from planner.core.shown import Demands, Recent, Target, by_arrivals
from planner.core.state import PolicyState, RoleMemory
from planner.core.steady import steady_replicas
from planner.core.traffic import Flows, late_roles, late_share
from planner.core.value import value
from planner.core.workload import Workload

# Largest demand that is remembered; keeps an engine that holds nothing out of the averages.
_MOST_REPLICAS = 1e4
# Lengths drift slower than rates, and lateness is answered slowly: time constants in leads.
_LENGTHS_LEADS = 1.0
_SHORTEST_LENGTHS_SECONDS = 30.0
_LATENESS_LEADS = 20.0
# Lateness starts at this share of what the SLA allows.
_FIRST_LATENESS = 0.35


@value
class Seen:
    """An observation with its traffic, and the lengths known by then."""

    config: PolicyConfig
    observation: Observation
    traffic: Traffic
    flows: Flows
    workload: Workload | None
    """A load of these lengths; None while outputs are unknown."""
    late_share: float | None
    late_roles: frozenset[Role]
    """The roles that what was late is put down to."""

    @classmethod
    def of(
        cls, config: PolicyConfig, flows: Flows, *, observation: Observation, traffic: Traffic
    ) -> "Seen":
        """Return *observation* with *flows* having seen its *traffic*."""
        lengths_seconds = max(_LENGTHS_LEADS * config.lead_seconds, _SHORTEST_LENGTHS_SECONDS)
        running = _decoding(observation)
        flows = flows.seen(traffic, running=running, smoothing_seconds=lengths_seconds)
        return cls(
            config=config,
            observation=observation,
            traffic=traffic,
            flows=flows,
            workload=flows.workload(flows.arrived),
            late_share=late_share(traffic),
            late_roles=late_roles(traffic, config.sla, config.roles),
        )


def resumed(config: PolicyConfig, state: PolicyState, at: float) -> PolicyState:
    """Return *state* without its recent past, where that is not recent any more *at* this time.

    After a gap longer than what a forecast looks back on, or a clock that went back, demand is
    unknown again; what was learned about lengths, forecast errors and engines is kept.
    """
    if state.at is not None and 0 <= at - state.at <= config.silence_seconds:
        return state
    roles = {role: _without_past(memory) for role, memory in state.roles.items()}
    return replace(state, since=at, roles=roles)


def _without_past(memory: RoleMemory) -> RoleMemory:
    known = memory.demand
    demand = Series(
        forecasts=without_past(known.forecasts),
        errors=known.errors,
        judged_seconds=known.judged_seconds,
    )
    return RoleMemory(demand=demand, late_share=memory.late_share, slowness=memory.slowness)


def _decoding(observation: Observation) -> int | None:
    """Return how many requests are being decoded; None when a role that does does not tell."""
    roles = [role for role in observation.load if role is not Role.PREFILL]
    running = [observation.load[role].running for role in roles]
    known = [count for count in running if count is not None]
    return sum(known) if known and len(known) == len(running) else None


def remembered(
    role: Role, engine: EngineModel, memory: RoleMemory, seen: Seen
) -> tuple[RoleMemory, Target | None]:
    """Return *memory* of *role* with what was *seen*, and what the role is to do.

    That is None while requests have arrived but none has finished, so that outputs are unknown.
    """
    replicas = seen.observation.replicas(role)
    grown_at = seen.observation.at if replicas.ready > memory.ready else memory.grown_at
    slow = _slowness(role, engine, memory, seen, grown_at=grown_at)
    target = _target(role, engine, slow, seen)
    shown = _Shown(memory.recent, memory.rate_rps, None)
    if target is not None:
        shown = _shown(target, memory, seen, guess=replicas.current)
    demand = memory.demand
    if shown.interval is not None:
        demand = learned(demand, shown.interval, windows=seen.config.windows)
    after = RoleMemory(
        recent=shown.recent,
        rate_rps=shown.rate_rps,
        demand=demand,
        highs=memory.highs,
        needs=memory.needs,
        late_share=_lateness(role, memory, seen),
        slowness=slow,
        ready=replicas.ready,
        grown_at=grown_at,
    )
    return after, target


class _Shown(NamedTuple):
    """What the interval showed of a role's demand."""

    recent: Recent
    rate_rps: float | None
    interval: Interval | None


def _shown(target: Target, memory: RoleMemory, seen: Seen, *, guess: int) -> _Shown:
    arrivals = seen.traffic.arrivals
    if arrivals is not None and target.role is not Role.AGGREGATED:
        if not arrivals.counts:  # looks may be closer together than a bin is long
            return _Shown(memory.recent, None, None)
        demands, recent = by_arrivals(target, memory.recent, arrivals)
        return _Shown(recent, None, _interval(seen, demands, arrivals.counts))
    rate_rps = _smoothed_rate(target, memory, seen.traffic)
    demand = steady_replicas(target, rate_rps=rate_rps, guess=guess)
    return _Shown(Recent(), rate_rps, _interval(seen, (demand,), (seen.traffic.arrived,)))


def _target(role: Role, engine: EngineModel, slowness: float, seen: Seen) -> Target | None:
    """Return what *role* is to do, with *engine* as slow as it has turned out to be."""
    workload = seen.workload
    if workload is None and role is Role.PREFILL:
        workload = seen.flows.workload(seen.flows.arrived, prompts_only=True)
    if workload is None:
        return None
    percent = round(slowness * 100)
    real = engine if percent == 100 else slowed(engine, percent)
    return Target(role=role, engine=real, sla=seen.config.sla, workload=workload)


def _interval(seen: Seen, demands: Demands, requests: tuple[int, ...]) -> Interval:
    if max(demands) > _MOST_REPLICAS:
        demands = tuple([min(demand, _MOST_REPLICAS) for demand in demands])
    return Interval(
        at=seen.observation.at,
        seconds=seen.traffic.seconds,
        demands=demands,
        requests=requests,
    )


def _smoothed_rate(target: Target, memory: RoleMemory, traffic: Traffic) -> float:
    """Return the arrival rate over the interval and the time that a request may take.

    Work may be done within both: 15 replicas' worth in 5 s with 3 s to spare are
    15 * 5 / (5 + 3) -> 9.4 replicas.
    """
    rate = traffic.arrived / traffic.seconds
    if memory.rate_rps is None:
        return rate
    span = spread_seconds(target.role, target.engine, target.sla, target.workload)
    return memory.rate_rps + traffic.seconds / (traffic.seconds + span) * (rate - memory.rate_rps)


def _slowness(
    role: Role, engine: EngineModel, memory: RoleMemory, seen: Seen, *, grown_at: float | None
) -> float:
    """Return how slow the engines are by now; frozen while some of them are still warming up."""
    load = seen.observation.load.get(role)
    if load is None or load.steps is None:
        return memory.slowness
    if grown_at is not None and seen.observation.at - grown_at < WARM_UP_SECONDS:
        return memory.slowness
    return slowness(memory.slowness, role, engine, load.steps, seconds=seen.traffic.seconds)


def _lateness(role: Role, memory: RoleMemory, seen: Seen) -> float | None:
    """Return the smoothed share of requests that were late because of *role*.

    What was late before this fleet could be the one asked for says nothing about the headroom.
    """
    config, before = seen.config, memory.late_share
    late = seen.late_share
    if late is None or memory.demand.forecasts.seen_seconds < config.windows.warm_up_seconds:
        return before
    if role not in seen.late_roles:
        late = 0.0
    if before is None:
        before = _FIRST_LATENESS * (1 - config.sla.attainment)
    gain = min(1.0, seen.traffic.seconds / (_LATENESS_LEADS * config.lead_seconds))
    return before + gain * (late - before)
