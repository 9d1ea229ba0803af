"""Turns one observation into memory: lengths, demand in replicas, and how good forecasts were."""

from collections.abc import Mapping
from dataclasses import dataclass, replace

from planner.core.demand import busy_replicas, spread_seconds
from planner.core.engine import EngineModel
from planner.core.headroom import Interval, Series, learned
from planner.core.observation import Observation, Traffic
from planner.core.policy import PolicyConfig
from planner.core.role import Role
from planner.core.sla import Sla
from planner.core.state import PolicyState, RoleMemory
from planner.core.traffic import Flows, late_roles, late_share, prompts
from planner.core.workload import Workload

# Largest demand that is remembered; keeps an engine that holds nothing out of the averages.
_MOST_REPLICAS = 1e4
# Lengths drift slower than rates, and lateness is answered slowly: time constants in leads.
_LENGTHS_LEADS = 1.0
_SHORTEST_LENGTHS_SECONDS = 30.0
_LATENESS_LEADS = 20.0
# Lateness starts at this share of what the SLA allows.
_FIRST_LATENESS = 0.35


@dataclass(frozen=True, slots=True, kw_only=True)
class _Interval:
    """The traffic of one interval that ends *at*, and the lengths known by then."""

    at: float
    traffic: Traffic
    flows: Flows


def resumed(config: PolicyConfig, state: PolicyState, at: float) -> PolicyState:
    """Return *state* at time *at*, without its recent past where that is not recent any more.

    After a gap longer than the peak window, or a clock that went back, demand is unknown again;
    what was learned about lengths and forecast errors is kept.
    """
    if state.at is not None and 0 <= at - state.at <= config.windows.peak_seconds:
        return replace(state, at=at)
    roles = {role: _without_past(memory) for role, memory in state.roles.items()}
    return replace(state, at=at, since=at, roles=roles)


def _without_past(memory: RoleMemory) -> RoleMemory:
    known = memory.demand
    demand = Series(errors=known.errors, judged_seconds=known.judged_seconds)
    return RoleMemory(demand=demand, late_share=memory.late_share)


def remembered(
    config: PolicyConfig,
    engines: Mapping[Role, EngineModel],
    state: PolicyState,
    *,
    observation: Observation,
    traffic: Traffic,
) -> PolicyState:
    """Return *state* having seen *observation* and its *traffic*."""
    lengths_seconds = max(_LENGTHS_LEADS * config.lead_seconds, _SHORTEST_LENGTHS_SECONDS)
    flows = state.flows.seen(
        traffic, running=_decoding(observation), smoothing_seconds=lengths_seconds
    )
    interval = _Interval(at=observation.at, traffic=traffic, flows=flows)
    roles = {
        role: _seen(config, role, engine, state.role(role), interval)
        for role, engine in engines.items()
    }
    return replace(state, flows=flows, roles=roles)


def _decoding(observation: Observation) -> int | None:
    """Return how many requests are being decoded; None when a role that does does not tell."""
    roles = [role for role in observation.load if role is not Role.PREFILL]
    running = [observation.load[role].running for role in roles]
    known = [count for count in running if count is not None]
    return sum(known) if known and len(known) == len(running) else None


def _seen(
    config: PolicyConfig,
    role: Role,
    engine: EngineModel,
    memory: RoleMemory,
    interval: _Interval,
) -> RoleMemory:
    late = _lateness(config, role, memory.late_share, interval.traffic)
    rate = interval.traffic.arrived / interval.traffic.seconds
    workload = interval.flows.workload(rate, prompts_only=role is Role.PREFILL)
    if workload is None:
        return replace(memory, rate_rps=rate, late_share=late)
    gain = _gain(role, engine, config.sla, workload, seconds=interval.traffic.seconds)
    demand = busy_replicas(
        role, engine, config.sla, prompts(interval.traffic) if role is Role.PREFILL else workload
    )
    busy = _smoothed(memory.busy, min(demand, _MOST_REPLICAS), gain)
    return RoleMemory(
        rate_rps=_smoothed(memory.rate_rps, rate, gain),
        busy=busy,
        demand=learned(
            memory.demand,
            Interval(
                at=interval.at,
                seconds=interval.traffic.seconds,
                demand=busy,
                requests=interval.traffic.arrived,
            ),
            windows=config.windows,
        ),
        needs=memory.needs,
        late_share=late,
    )


def _gain(
    role: Role, engine: EngineModel, sla: Sla, workload: Workload, *, seconds: float
) -> float:
    """Return how much of an interval's demand counts as demand of the interval itself.

    Work may be done within the interval and the time that a request may spend with the role: 15
    replicas' worth in 5 s with 3 s to spare are 15 * 5 / (5 + 3) -> 9.4 replicas.
    """
    return seconds / (seconds + spread_seconds(role, engine, sla, workload))


def _smoothed(before: float | None, value: float, gain: float) -> float:
    return value if before is None else before + gain * (value - before)


def _lateness(
    config: PolicyConfig, role: Role, before: float | None, traffic: Traffic
) -> float | None:
    late = late_share(traffic)
    if late is None:
        return before
    if role not in late_roles(traffic, config.sla, config.roles):
        late = 0.0
    if before is None:
        before = _FIRST_LATENESS * (1 - config.sla.attainment)
    gain = min(1.0, traffic.seconds / (_LATENESS_LEADS * config.lead_seconds))
    return before + gain * (late - before)
