"""What a simulation starts from: the load, the deployment and the window that is scored."""

import os
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from planner.cli.shaping import duration, shaped
from planner.cli.sim.fleet import check_budget, given_fleet
from planner.cli.sim.options import ELSEWHERE
from planner.cli.sim.policies import chosen_policies
from planner.config import Settings, from_environment, from_file, from_flags, policy, settle
from planner.core.policy import AGGREGATED, DISAGGREGATED, PolicyConfig
from planner.core.profile import Profile
from planner.core.role import Role
from planner.core.units import format_duration
from planner.errors import ConfigError
from planner.profiles import bundled_profiles, load_profile
from planner.sim.backtest import opening_fleet, scenario
from planner.sim.deployment import RemotePrefill
from planner.sim.run import Scenario
from planner.sim.score import UNSCORED_SECONDS
from planner.traces import Trace


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Setting:
    """One load and one deployment, for every policy that is run on them.

    *fleet* is what the flags ask for at the start, *scenario* begins with it or with what the
    load's beginning needs.
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


def setting(given: Mapping[str, Any]) -> Setting:
    """Return what the flags *given* ask for.

    Raises ConfigError, TraceError and ProfileError, and SlaInfeasible where no fleet could meet
    the load's beginning.
    """
    policies = chosen_policies(given)
    _check_report(given["report"])
    fleet = given_fleet(given)
    settings = _settings(given)
    name = settings.profile
    if name is None:
        raise ConfigError("no profile is set", hint=f"--profile {bundled_profiles()[0]} or a file")
    config = policy(settings, AGGREGATED if Role.AGGREGATED in fleet else DISAGGREGATED)
    profile = load_profile(name)
    check_budget(fleet, config)
    trace = shaped(given)
    return Setting(
        trace=trace,
        config=config,
        profile=profile,
        profile_name=name,
        policies=policies,
        fleet=fleet,
        scenario=_scenario(given, config, profile, fleet or opening_fleet(trace, config, profile)),
        score_from_seconds=_score_from(given["score_from"], trace),
        oracle=given["oracle"],
    )


def _settings(given: Mapping[str, Any]) -> Settings:
    flags = {name: given[name] for name in Settings.model_fields if name not in ELSEWHERE}
    layers = [from_environment(os.environ), from_flags(flags)]
    if given["config"] is not None:
        layers.insert(0, from_file(given["config"]))
    return settle(*layers).settings


def _scenario(
    given: Mapping[str, Any], config: PolicyConfig, profile: Profile, initial: Mapping[Role, int]
) -> Scenario:
    remote_prefill = RemotePrefill(
        max_local_prefill_length=given["max_local_prefill_length"],
        max_prefill_queue_size=given["max_prefill_queue_size"],
    )
    plain = scenario(config, profile, initial, remote_prefill=remote_prefill)
    if given["hands_off"] is None:
        return plain
    return replace(plain, hands_off_seconds=duration("--hands-off", given["hands_off"]))


def _score_from(text: str | None, trace: Trace) -> float:
    if text is None:
        return UNSCORED_SECONDS if trace.duration_seconds >= 2 * UNSCORED_SECONDS else 0.0
    start = duration("--score-from", text)
    if start >= trace.duration_seconds:
        last = format_duration(trace.duration_seconds)
        raise ConfigError(f"--score-from {text}: the last request arrives at {last}",
                          hint="--score-from 0s")  # fmt: skip
    return start


def _check_report(path: Path | None) -> None:
    """Raise ConfigError for a report that could not be written: better than after the work."""
    if path is None:
        return
    if path.is_dir():
        raise ConfigError(f"--report {path}: is a folder", hint=f"--report {path / 'report.html'}")
    if not path.parent.is_dir():
        raise ConfigError(
            f"--report {path}: there is no folder {path.parent}", hint=f"mkdir -p {path.parent}"
        )
