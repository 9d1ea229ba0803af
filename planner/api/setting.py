"""What a simulation starts from: the load, the deployment and the window that is scored."""

import difflib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from planner.api.inputs import FleetLike, ProfileLike, SlaLike, as_profile, as_sla
from planner.api.loads import TraceLike, as_trace
from planner.core.policy import AGGREGATED, DISAGGREGATED, Bounds, PolicyConfig
from planner.core.profile import Profile
from planner.core.role import Role
from planner.core.units import format_duration
from planner.errors import ConfigError
from planner.peers import PEERS
from planner.sim.backtest import opening_fleet, scenario
from planner.sim.deployment import RemotePrefill
from planner.sim.run import Scenario
from planner.sim.score import UNSCORED_SECONDS
from planner.traces import Trace

PLANNER = "planner"
STATIC = "static"


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Setting:
    """One load and one deployment, for every policy that is run on them.

    *fleet* is what was asked for at the start, *scenario* begins with it or with what the load's
    beginning needs.
    """

    trace: Trace
    config: PolicyConfig
    profile: Profile
    profile_name: str
    policies: tuple[str, ...]
    fleet: Mapping[Role, int]
    scenario: Scenario
    score_from_seconds: float
    oracle: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Wanted:
    """What may be told about a simulation beside the load, the profile and the SLA."""

    policies: str | Sequence[str]
    fleet: FleetLike | None
    oracle: bool
    cold_start_seconds: float | None
    max_gpus: int | None
    score_from_seconds: float | None
    hands_off_seconds: float
    remote_prefill: RemotePrefill


def setting(
    load: TraceLike, profile: ProfileLike, sla: SlaLike | PolicyConfig, wanted: Wanted
) -> Setting:
    """Return the setting of *load* on the deployment that is *wanted*.

    Raises ConfigError, TraceError and ProfileError, and SlaInfeasible where no fleet could meet
    the load's beginning.
    """
    policies = known_policies(wanted.policies)
    fleet = _fleet(wanted.fleet or {})
    known, name = as_profile(profile)
    config = _config(sla, fleet, wanted)
    _check_budget(fleet, config)
    trace = as_trace(load)
    initial = fleet or opening_fleet(trace, config, known)
    plain = scenario(config, known, initial, remote_prefill=wanted.remote_prefill)
    return Setting(
        trace=trace,
        config=config,
        profile=known,
        profile_name=name,
        policies=policies,
        fleet=fleet,
        scenario=replace(plain, hands_off_seconds=wanted.hands_off_seconds),
        score_from_seconds=_score_from(wanted.score_from_seconds, trace),
        oracle=wanted.oracle,
    )


def known_policies(wanted: str | Sequence[str]) -> tuple[str, ...]:
    """Return the names of policies, each once; raises ConfigError for one that there is not."""
    names = tuple(dict.fromkeys([wanted] if isinstance(wanted, str) else wanted))
    known = [PLANNER, STATIC, *PEERS]
    if not names:
        raise ConfigError("no policy is named", hint=f"policies: {', '.join(known)}")
    for name in names:
        if name not in known:
            close = difflib.get_close_matches(name, known, n=1)
            raise ConfigError(
                f"no such policy: {name!r} (known: {', '.join(known)})",
                hint=f"did you mean {close[0]}?" if close else f"--compare {','.join(known)}",
            )
    return names


def _fleet(given: FleetLike) -> dict[Role, int]:
    """Return *given* by role; raises ConfigError for what is not a fleet."""
    roles = ", ".join(Role)
    for name, count in given.items():
        if name not in list(Role):
            raise ConfigError(f"fleet: unknown role {name!r}", hint=f"roles: {roles}")
        if count < 1:
            raise ConfigError(f"fleet: {count} {name} replicas: must be at least 1", hint="1")
    fleet = {Role(name): count for name, count in given.items()}
    if fleet and frozenset(fleet) not in (AGGREGATED, DISAGGREGATED):
        raise ConfigError(
            f"fleet of {', '.join(fleet)}: it is aggregated, or prefill with decode",
            hint='fleet={"prefill": 1, "decode": 1}',
        )
    return fleet


def _config(sla: SlaLike | PolicyConfig, fleet: Mapping[Role, int], wanted: Wanted) -> PolicyConfig:
    config = sla if isinstance(sla, PolicyConfig) else _plain_config(sla, fleet)
    if fleet and set(fleet) != set(config.roles):
        raise ConfigError(
            f"fleet of {', '.join(fleet)}: the policy has bounds for {', '.join(config.roles)}",
            hint="give both the same roles",
        )
    if wanted.cold_start_seconds is not None:
        config = replace(config, cold_start_seconds=wanted.cold_start_seconds)
    return config if wanted.max_gpus is None else replace(config, max_gpus=wanted.max_gpus)


def _plain_config(sla: SlaLike, fleet: Mapping[Role, int]) -> PolicyConfig:
    return PolicyConfig(sla=as_sla(sla), bounds={role: Bounds() for role in fleet or DISAGGREGATED})


def _check_budget(fleet: Mapping[Role, int], config: PolicyConfig) -> None:
    """Raise ConfigError for a *fleet* that holds more GPUs than *config* allows."""
    gpus = sum(count * config.gpus_per_replica(role) for role, count in fleet.items())
    if config.max_gpus is not None and gpus > config.max_gpus:
        raise ConfigError(
            f"--max-gpus {config.max_gpus}: the fleet to begin with holds {gpus} GPUs",
            hint=f"--max-gpus {gpus}",
        )


def _score_from(start: float | None, trace: Trace) -> float:
    if start is None:
        return UNSCORED_SECONDS if trace.duration_seconds >= 2 * UNSCORED_SECONDS else 0.0
    if start >= trace.duration_seconds:
        last = format_duration(trace.duration_seconds)
        raise ConfigError(
            f"--score-from {format_duration(start)}: the last request arrives at {last}",
            hint="--score-from 0s",
        )
    return start
