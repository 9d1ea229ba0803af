"""One engine behind a frontend on this machine, for as long as a block runs and no longer."""

import contextlib
import sys
import tempfile
import time
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

from connectors.circus.client import CircusClient
from connectors.circus.daemon import Daemon, socket_directory, start_daemon, wait_daemon
from connectors.circus.spec import DeploymentSpec, RoleSpec, spec_path
from planner.cli.local.choices import LOOPBACK
from planner.cli.local.processes import FRONTEND, Ports, launched, server_commands
from planner.cli.local.ready import wait_ready
from planner.cli.local.shutdown import clear, shut_down
from planner.cli.local.start import Folders, kill
from planner.cli.profiling.engines import NAME, NAMESPACE, EngineKind
from planner.core.profile import Parallelism
from planner.core.role import Role
from planner.errors import PlannerError
from profiler.ports import MeasuringFailed
from runtime.errors import RuntimeFault
from runtime.servers import free_port, wait_port

_DAEMON_SECONDS = 10.0
_SERVER_SECONDS = 20.0
_DRAIN_SECONDS = 3.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Deployed:
    """A deployment that answers, *start_up_seconds* after its engine was asked for."""

    spec: DeploymentSpec
    start_up_seconds: float


@asynccontextmanager
async def deployed(
    kind: EngineKind, parallelism: Parallelism, *, timeout: float
) -> AsyncIterator[Deployed]:
    """Yield one engine behind a frontend once both answer.

    Leaving the block ends all of its processes; so does the end of this process, whatever ends it.
    Raises MeasuringFailed when the engine is not ready in *timeout* seconds.
    """
    with tempfile.TemporaryDirectory(prefix="planner-profile-") as folder:
        folders = Folders(state=Path(folder))
        folders.prepare()
        sockets = socket_directory(folders.state)
        daemon = start_daemon(sockets, log=folders.log("supervisor"))
        try:
            yield await _ready(daemon, folders, kind, parallelism, timeout=timeout)
        finally:
            await _end(daemon, folders)


async def _ready(
    daemon: Daemon, folders: Folders, kind: EngineKind, parallelism: Parallelism, *, timeout: float
) -> Deployed:
    try:
        await wait_daemon(daemon, timeout=_DAEMON_SECONDS, log=folders.log("supervisor"))
        spec = await _start(daemon, folders, kind, parallelism)
        asked = time.monotonic()
        await wait_ready(spec, {Role.AGGREGATED: 1}, timeout=timeout, tell=lambda _: None)
    except (PlannerError, RuntimeFault) as error:
        raise MeasuringFailed(f"{parallelism}: {error}") from error
    return Deployed(spec=spec, start_up_seconds=time.monotonic() - asked)


async def _start(
    daemon: Daemon, folders: Folders, kind: EngineKind, parallelism: Parallelism
) -> DeploymentSpec:
    """Return the deployment when all of its processes run; the engine is asked for last."""
    ports = Ports(http=free_port(), etcd=free_port(), etcd_peer=free_port(), nats=free_port())
    engine = RoleSpec(command=tuple(launched(kind.command(parallelism, ports))))
    spec = _spec(daemon, folders, ports, engine, model=kind.model_name)
    spec.save(spec_path(folders.state))
    client = CircusClient(daemon.endpoint)
    try:
        pid = client.pid()
        servers = server_commands(folders.data, ports)
        await _add(client, folders, {n: launched(c, parent=pid) for n, c in servers.items()})
        for port in (ports.etcd, ports.nats):
            await wait_port(LOOPBACK, port, timeout=_SERVER_SECONDS)
        frontend = launched(_frontend(ports), parent=pid)
        await _add(
            client, folders, {FRONTEND: frontend, NAME: engine.command_for(NAME, parent=pid)}
        )
    finally:
        client.close()
    return spec


def _spec(
    daemon: Daemon, folders: Folders, ports: Ports, engine: RoleSpec, *, model: str
) -> DeploymentSpec:
    return DeploymentSpec(
        namespace=NAMESPACE,
        endpoint=daemon.endpoint,
        store_url=ports.store_url,
        plane_url=ports.plane_url,
        frontend_url=ports.frontend_url,
        log_directory=str(folders.logs),
        roles={Role.AGGREGATED: engine},
        drain_seconds=_DRAIN_SECONDS,
        model=model,
    )


async def _add(client: CircusClient, folders: Folders, commands: Mapping[str, list[str]]) -> None:
    for name, command in commands.items():
        await client.add(name, command, log=folders.log(name), env={})


def _frontend(ports: Ports) -> list[str]:
    return [
        *(sys.executable, "-m", "runtime.frontend"),
        f"--store={ports.store_url}",
        f"--plane={ports.plane_url}",
        f"--namespace={NAMESPACE}",
        f"--port={ports.http}",
        "--drain-timeout=1",
    ]


async def _end(daemon: Daemon, folders: Folders) -> None:
    """End everything: politely, so that an engine frees its GPUs itself, then in any case."""
    path = spec_path(folders.state)
    try:
        if path.exists():
            with contextlib.suppress(PlannerError):
                await shut_down(DeploymentSpec.load(path), drain_seconds=_DRAIN_SECONDS)
    finally:
        await kill(daemon)
        clear(daemon.endpoint, path)
