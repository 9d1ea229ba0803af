"""`planner stop`: drain the deployment of this machine and end it."""

import asyncio
import time
from pathlib import Path
from typing import TYPE_CHECKING

import click

from planner.cli.output import notice
from planner.cli.paths import state_directory

if TYPE_CHECKING:
    from contextlib import AbstractAsyncContextManager

    from connectors.circus.spec import DeploymentSpec

_RELEASE_SECONDS = 10.0


@click.command
@click.option("--timeout", metavar="DURATION", help="Longest wait for what is being served.")
@click.option("--state-dir", type=click.Path(path_type=Path), help="Folder of the deployment.")
def command(timeout: str | None, state_dir: Path | None) -> None:
    """Finish what is being served and stop the deployment. Nothing running is fine.

    Servers of another make leave the list of those to send to first, and are ended once they are
    idle; a `planner run` that acts on them ends before.
    """
    from planner.core.units import parse_duration

    seconds = None
    if timeout is not None:
        what = f"--timeout {timeout}"
        seconds = parse_duration(timeout, what=what, hint="planner stop --timeout {}")
    asyncio.run(_stop((state_dir or state_directory()).resolve(), drain_seconds=seconds))


async def _stop(state: Path, *, drain_seconds: float | None) -> None:
    from connectors.circus.spec import DeploymentSpec, spec_path
    from planner.cli.control.fleet import READY_FILE
    from planner.cli.local.lock import is_running
    from planner.cli.local.shutdown import clear, shut_down

    path = spec_path(state)
    if not is_running(state):
        notice(f"nothing runs in {state}")
        path.unlink(missing_ok=True)  # what a killed one left
        (state / READY_FILE).unlink(missing_ok=True)
        return
    spec = DeploymentSpec.load(path)
    patience = spec.drain_seconds if drain_seconds is None else drain_seconds
    if spec.is_served_by_others:
        await _drain_servers(spec, state, patience)
    async with _shown("draining", patience):
        killed = await shut_down(spec, drain_seconds=patience)
    for name in killed:
        notice(f"{name} had not finished after {patience:g} s and was killed")
    await _wait_released(state)
    clear(spec.endpoint, path)
    (state / READY_FILE).unlink(missing_ok=True)
    notice("stopped")


async def _drain_servers(spec: "DeploymentSpec", state: Path, seconds: float) -> None:
    from planner.cli.control.fleet import READY_FILE
    from planner.cli.local.leaving import drain, end_planner

    if await end_planner(state):
        notice("ended the planner that acted on this fleet")
    notice(f"taking the servers out of {READY_FILE}; each is ended once it is idle")
    async with _shown("waiting until the servers are idle", seconds):
        await drain(spec, state, drain_seconds=seconds)


def _shown(doing: str, seconds: float) -> "AbstractAsyncContextManager[None]":
    from planner.cli.live.progress import countdown, shown

    return shown(countdown(doing, seconds))


async def _wait_released(state: Path) -> None:
    """Return once the `planner serve` in the foreground, if any, has seen the end as well."""
    from planner.cli.local.lock import is_running
    from planner.errors import PlannerError

    deadline = time.monotonic() + _RELEASE_SECONDS
    while is_running(state):
        if time.monotonic() > deadline:
            raise PlannerError(f"something still holds {state / 'lock'}", hint="planner status")
        await asyncio.sleep(0.05)
