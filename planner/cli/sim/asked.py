"""What the flags of `planner simulate` ask for, and the simulation of it."""

import os
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from planner.api.runs import Simulation
from planner.api.setting import PLANNER, STATIC, known_policies
from planner.api.simulation import simulate
from planner.cli.output import is_interactive, notice
from planner.cli.shaping import duration, shaped
from planner.cli.sim.fleet import given_fleet
from planner.cli.sim.options import ELSEWHERE
from planner.cli.sim.progress import Progress
from planner.config import Settings, from_environment, from_file, from_flags, policy, settle
from planner.core.policy import AGGREGATED, DISAGGREGATED
from planner.core.role import Role
from planner.errors import ConfigError
from planner.profiles import bundled_profiles
from planner.sim.deployment import RemotePrefill
from planner.sim.machine.compiled import compiles_first


def simulated(given: Mapping[str, Any]) -> Simulation:
    """Return what came of the simulation that the flags *given* ask for.

    Raises ConfigError, TraceError and ProfileError, and SlaInfeasible where no fleet could meet
    the SLA.
    """
    policies = known_policies(_policies(given))
    _check_report(given["report"])
    fleet = given_fleet(given)
    settings = _settings(given)
    if settings.profile is None:
        raise ConfigError("no profile is set", hint=f"--profile {bundled_profiles()[0]} or a file")
    config = policy(settings, AGGREGATED if Role.AGGREGATED in fleet else DISAGGREGATED)
    if compiles_first() and is_interactive(sys.stderr):
        notice("compiling the simulator, this once: 20 s and more")
    with Progress(len(policies) + given["oracle"]) as progress:
        return simulate(
            shaped(given),
            settings.profile,
            config,
            policies=policies,
            fleet=fleet,
            oracle=given["oracle"],
            score_from_seconds=_seconds(given, "score_from"),
            hands_off_seconds=_seconds(given, "hands_off") or 0.0,
            remote_prefill=RemotePrefill(
                max_local_prefill_length=given["max_local_prefill_length"],
                max_prefill_queue_size=given["max_prefill_queue_size"],
            ),
            progress=progress.hear,
        )


def _policies(given: Mapping[str, Any]) -> tuple[str, ...]:
    """Return the policies that flags name, in order; raises ConfigError where they contradict."""
    if given["compare"] is None:
        return (_single(given),)
    if given["policy"] is not None or given["static"]:
        raise ConfigError(
            "--compare with --policy or --static: it names all policies itself",
            hint=f"--compare {PLANNER},{STATIC}",
        )
    names = tuple(name.strip() for name in given["compare"].split(",") if name.strip())
    if not names:
        raise ConfigError("--compare: no policy is named", hint=f"--compare {PLANNER},{STATIC}")
    return names


def _single(given: Mapping[str, Any]) -> str:
    name: str | None = given["policy"]
    if given["static"] and name not in (None, STATIC):
        raise ConfigError(f"--static with --policy {name}: choose one", hint=f"--policy {STATIC}")
    return STATIC if given["static"] else name or PLANNER


def _settings(given: Mapping[str, Any]) -> Settings:
    flags = {name: given[name] for name in Settings.model_fields if name not in ELSEWHERE}
    layers = [from_environment(os.environ), from_flags(flags)]
    if given["config"] is not None:
        layers.insert(0, from_file(given["config"]))
    return settle(*layers).settings


def _seconds(given: Mapping[str, Any], name: str) -> float | None:
    text: str | None = given[name]
    return None if text is None else duration(f"--{name.replace('_', '-')}", text)


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
