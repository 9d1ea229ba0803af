"""A fleet of servers of another make, started and ended by planner as its description says."""

import os
import shutil
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

from connectors.circus.daemon import socket_directory, start_daemon, wait_daemon
from connectors.circus.spec import DeploymentSpec, RoleSpec, spec_path
from planner.cli.local.lock import hold_lock, is_running, open_lock, take_lock
from planner.config.fleet import FleetDescription, FleetRole
from planner.errors import ConfigError

READY_FILE = "servers.json"
_LOCK = "planner.lock"
_START_SECONDS = 15.0


async def standing(description: FleetDescription, state: Path, *, acts: bool) -> DeploymentSpec:
    """Return the fleet in the folder *state*; its supervisor is started if *acts* and it has none.

    Raises ConfigError for a folder of another deployment, for a program that is not there, and
    when there is nothing to observe.
    """
    _check_programs(description)
    path = spec_path(state)
    if is_running(state):
        found = DeploymentSpec.load(path)
        if not found.is_served_by_others:
            raise ConfigError(
                f"a deployment of planner serve runs in {state}", hint="--state-dir DIR"
            )
        spec = replace(_described(description, state), endpoint=found.endpoint)
    elif acts:
        spec = await _begin(description, state)
    else:
        raise ConfigError(
            f"no fleet runs in {state}",
            hint="planner run --fleet FILE starts it, without --observe",
        )
    if acts:
        spec.save(path)
    return spec


@contextmanager
def sole_planner(state: Path) -> Iterator[None]:
    """Be the one planner that acts on the fleet in *state*. Raises ConfigError beside another."""
    lock = open_lock(state / _LOCK)
    try:
        if not take_lock(lock):
            raise ConfigError(
                f"another planner acts on the fleet in {state}", hint="planner run --observe"
            )
        os.ftruncate(lock, 0)
        os.pwrite(lock, str(os.getpid()).encode(), 0)
        yield
    finally:
        os.close(lock)


def acting_planner(state: Path) -> int | None:
    """Return the process id of the planner that acts on the fleet in *state*; None if none does."""
    lock = open_lock(state / _LOCK)
    try:
        if take_lock(lock):
            return None
        holder = os.pread(lock, 20, 0)
        return int(holder) if holder.isdigit() else None
    finally:
        os.close(lock)


async def _begin(description: FleetDescription, state: Path) -> DeploymentSpec:
    with hold_lock(state) as lock:
        (state / "logs").mkdir(mode=0o700, exist_ok=True)
        log = state / "logs" / "supervisor.log"
        daemon = start_daemon(socket_directory(state), log=log, detach=True, keep_open=(lock,))
        try:
            await wait_daemon(daemon, timeout=_START_SECONDS, log=log)
        except BaseException:
            daemon.process.kill()
            daemon.process.wait()
            raise
        return replace(_described(description, state), endpoint=daemon.endpoint)


def _described(description: FleetDescription, state: Path) -> DeploymentSpec:
    return DeploymentSpec(
        namespace="fleet",
        endpoint="",
        store_url="",
        plane_url="",
        frontend_url="",
        log_directory=str(state / "logs"),
        roles={role: _role(its) for role, its in description.roles.items()},
        gpus=description.gpus,
        drain_seconds=description.drain,
        notice_seconds=description.notice,
        engine=None if description.engine is None else description.engine.value,
    )


def _role(its: FleetRole) -> RoleSpec:
    return RoleSpec(
        command=(sys.executable, "-m", "connectors.circus.child", "{parent}", *its.command),
        gpus=its.gpus,
        env=dict(its.env),
        first_port=its.first_port,
        host=its.host,
        ready_path=its.ready,
    )


def _check_programs(description: FleetDescription) -> None:
    for role, its in description.roles.items():
        if shutil.which(its.command[0], path=its.env.get("PATH")) is None:
            raise ConfigError(
                f"roles.{role}.command: there is no program {its.command[0]}",
                hint="name it with its whole path",
            )
