"""`planner simulate`: the production decision on a trace, on a virtual clock."""

import os
import sys
import time
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

import click

from planner.cli.control.options import settings_options
from planner.cli.output import output_option
from planner.cli.shaping import shaped, shaping_options
from planner.core.role import Role
from planner.errors import ConfigError, SlaInfeasible

if TYPE_CHECKING:
    from planner.core.policy import PolicyConfig
    from planner.core.profile import Profile
    from planner.sim.result import SimResult
    from planner.sim.run import Scenario
    from planner.traces import Trace

_ELSEWHERE = (
    "observe", "connector", "state_dir", "namespace", "store", "model", "journal", "metrics_port",
    "metrics_timeout", "max_age",
)  # fmt: skip
_QUIET_SECONDS = 2.0


@click.command()
@shaping_options
@click.option("--prefill", type=click.IntRange(1), metavar="N", help="Prefill replicas at first.")
@click.option("--decode", type=click.IntRange(1), metavar="N", help="Decode replicas at first.")
@click.option("--aggregated", type=click.IntRange(1), metavar="N", help="Aggregated ones instead.")
@click.option("--static", is_flag=True, help="Never scale; without numbers: the best fixed fleet.")
@click.option(
    "--max-local-prefill-length", type=click.IntRange(0), default=0, metavar="N",
    help="Prompt tokens up to which decode replicas prefill themselves.  [default: 0]",
)  # fmt: skip
@click.option(
    "--max-prefill-queue-size", type=click.IntRange(0), metavar="N",
    help="Prompts in the prefill queue above which they do, too; unlimited when left out.",
)  # fmt: skip
@settings_options(without=_ELSEWHERE)
@output_option
def command(**given: Any) -> None:
    """Backtest: what the planner would have done on a recorded load, and what came of it.

    Without numbers of replicas the fleet begins with what its first minute needs.
    """
    from planner.cli.sim_report import print_document, print_report
    from planner.sim.backtest import backtest, opening_fleet

    fleet = _given_fleet(given)
    config, profile = _settled(given, aggregated=Role.AGGREGATED in fleet)
    _check_budget(fleet, config)
    trace = shaped(given)
    started = time.perf_counter()
    with _Progress() as progress:
        if given["static"]:
            result = _unscaled(trace, config, _scenario(given, config, profile, fleet), progress)
        else:
            initial = fleet or opening_fleet(trace, config, profile)
            begun = _scenario(given, config, profile, initial)
            result = backtest(trace, config, profile, fleet=begun, progress=progress)
    wall_seconds = time.perf_counter() - started
    show = print_document if given["output"] == "json" else print_report
    show(trace.name, result, wall_seconds=wall_seconds)


def _scenario(
    given: Mapping[str, Any],
    config: "PolicyConfig",
    profile: "Profile",
    initial: Mapping[Role, int],
) -> "Scenario":
    from planner.sim.backtest import scenario
    from planner.sim.deployment import RemotePrefill

    remote_prefill = RemotePrefill(
        max_local_prefill_length=given["max_local_prefill_length"],
        max_prefill_queue_size=given["max_prefill_queue_size"],
    )
    return scenario(config, profile, initial, remote_prefill=remote_prefill)


def _unscaled(
    trace: "Trace",
    config: "PolicyConfig",
    scenario: "Scenario",
    progress: Callable[[float], None],
) -> "SimResult":
    """Return the run of the fixed fleet that was asked for, else of the best one."""
    from planner.core.units import format_share
    from planner.sim.run import simulate
    from planner.sim.static import best_static

    if scenario.initial:
        return simulate(trace, scenario, progress=progress)
    most = {role: config.bounds[role].maximum for role in config.roles}
    best = best_static(trace, scenario, most=most, progress=progress)
    if best.attainment < config.sla.attainment:
        fleet_text = " and ".join(f"{count} {role}" for role, count in most.items())
        raise SlaInfeasible(
            f"{config.sla}: a fixed fleet of {fleet_text} replicas reaches only "
            f"{format_share(best.attainment)} on this trace",
            hint="give looser targets with --sla, or allow more replicas with --max",
        )
    return best


def _given_fleet(given: Mapping[str, Any]) -> dict[Role, int]:
    """Return the replicas that flags ask for at the start; empty when none is given."""
    fleet = {role: given[role] for role in Role if given[role] is not None}
    if Role.AGGREGATED in fleet and len(fleet) > 1:
        raise ConfigError(
            "--aggregated with --prefill or --decode: a fleet is one or the other",
            hint="leave one of them out",
        )
    if len(fleet) == 1 and Role.AGGREGATED not in fleet:
        (role,) = fleet
        other = Role.DECODE if role is Role.PREFILL else Role.PREFILL
        raise ConfigError(
            f"--{role} {fleet[role]}: --{other} is missing",
            hint=f"--{role} {fleet[role]} --{other} 1",
        )
    return fleet


def _check_budget(fleet: Mapping[Role, int], config: "PolicyConfig") -> None:
    gpus = sum(count * config.gpus_per_replica(role) for role, count in fleet.items())
    if config.max_gpus is not None and gpus > config.max_gpus:
        raise ConfigError(
            f"--max-gpus {config.max_gpus}: the fleet to begin with holds {gpus} GPUs",
            hint=f"--max-gpus {gpus}",
        )


def _settled(given: Mapping[str, Any], *, aggregated: bool) -> "tuple[PolicyConfig, Profile]":
    from planner.config import (
        Settings,
        from_environment,
        from_file,
        from_flags,
        policy,
        settle,
    )
    from planner.core.policy import AGGREGATED, DISAGGREGATED
    from planner.profiles import bundled_profiles, load_profile

    flags = {name: given[name] for name in Settings.model_fields if name not in _ELSEWHERE}
    layers = [from_environment(os.environ), from_flags(flags)]
    if given["config"] is not None:
        layers.insert(0, from_file(given["config"]))
    settings = settle(*layers).settings
    if settings.profile is None:
        raise ConfigError("no profile is set", hint=f"--profile {bundled_profiles()[0]} or a file")
    config = policy(settings, AGGREGATED if aggregated else DISAGGREGATED)
    return config, load_profile(settings.profile)


class _Progress:
    """A percentage on a terminal's stderr, once the wait is long enough to wonder about."""

    def __init__(self) -> None:
        from planner.cli.logs import is_quiet

        self._is_shown = sys.stderr.isatty() and not is_quiet()
        self._started = time.monotonic()
        self._is_dirty = False

    def __enter__(self) -> Callable[[float], None]:
        return self._tell

    def __exit__(self, *_: object) -> None:
        if self._is_dirty:
            click.echo("\r\033[K", nl=False, err=True)

    def _tell(self, share: float) -> None:
        if self._is_shown and time.monotonic() - self._started > _QUIET_SECONDS:
            self._is_dirty = True
            click.echo(f"\rsimulating {share:4.0%}", nl=False, err=True)
