"""How a fleet of servers of another make ends: told to nobody, idle, asked, and gone."""

import asyncio
import os
import signal
import time
from contextlib import suppress
from pathlib import Path

from connectors.circus.connector import CircusConnector
from connectors.circus.drain import OnceIdle
from connectors.circus.probes import ProbedRegistry
from connectors.circus.spec import DeploymentSpec
from connectors.replicas import replica_name
from planner.cli.control.fleet import READY_FILE, acting_planner, sole_planner
from planner.cli.control.registry import BusyRegistry
from planner.cli.local.status import listed
from planner.config.fleet import PORTS_EACH
from planner.errors import MetricsUnavailable, PlannerError
from planner.sources.engines.names import EngineKind
from planner.sources.server_pages import ServerPages
from planner.sources.servers import ServersSource

_LOOK_SECONDS = 0.5
_PAGE_SECONDS = 1.5
_PLANNER_SECONDS = 10.0


async def end_planner(state: Path) -> bool:
    """End the planner that acts on the fleet in *state*, which would replace what ends.

    Returns whether there was one. Raises PlannerError when it stays.
    """
    pid = acting_planner(state)
    if pid is None:
        return False
    os.kill(pid, signal.SIGTERM)
    deadline = time.monotonic() + _PLANNER_SECONDS
    while acting_planner(state) is not None:
        if time.monotonic() > deadline:
            raise PlannerError(f"planner run does not end, process {pid}", hint=f"kill -9 {pid}")
        await asyncio.sleep(0.05)
    return True


async def drain(spec: DeploymentSpec, state: Path, *, drain_seconds: float) -> None:
    """Let the servers of *spec* finish: out of the list first, ended once they are idle.

    Each has the notice of its description, and *drain_seconds* in all. Raises PlannerError.
    """
    known = _told(spec, state)
    with sole_planner(state):
        registry = ProbedRegistry(spec, path=state / READY_FILE, timeout=_PAGE_SECONDS)
        kind = None if spec.engine is None else EngineKind(spec.engine)
        pages = ServerPages(timeout=_PAGE_SECONDS, engine=kind, model=None)
        source = ServersSource(registry, pages, clock=time.monotonic)
        departure = OnceIdle(
            told=registry.instances,
            inside=lambda name: source.in_flight.get(name, None if name in known else 0),
            notice_seconds=spec.notice_seconds,
            drain_seconds=drain_seconds,
        )
        connector = CircusConnector(
            spec, BusyRegistry(registry, lambda: source.in_flight), departure=departure
        )
        try:
            await _read(source, known)
            await connector.scale(dict.fromkeys(spec.roles, 0))
            while any(one.provisioned for one in (await connector.fleet()).values()):
                await _read(source, known)
                await asyncio.sleep(_LOOK_SECONDS)
        finally:
            await connector.close()
            await source.close()
            registry.close()


def _told(spec: DeploymentSpec, state: Path) -> set[str]:
    """Return the servers that senders know, and that may so be busy although they are silent."""
    urls = {url for role in (listed(state / READY_FILE) or {}).values() for url in role}
    return {
        name
        for role, its in spec.roles.items()
        for index in range(1, PORTS_EACH)
        if its.url(name := replica_name(role, index)) in urls
    }


async def _read(source: ServersSource, known: set[str]) -> None:
    """Read what is inside each server; those that told it once are *known* from then on."""
    with suppress(MetricsUnavailable):  # who is silent is waited for until its time is over
        await source.observe({}, now=time.monotonic())
    known |= source.in_flight.keys()
