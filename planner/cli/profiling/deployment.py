"""Engines behind a frontend on this machine, for as long as a block runs and no longer."""

import contextlib
import sys
import tempfile
import time
from collections.abc import AsyncIterator, Collection, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

from connectors.circus.client import CircusClient
from connectors.circus.daemon import Daemon, socket_directory, start_daemon, wait_daemon
from connectors.circus.processes import DEVICES
from connectors.circus.spec import DeploymentSpec, RoleSpec, spec_path
from planner.cli.local.choices import LOOPBACK
from planner.cli.local.processes import FRONTEND, Ports, launched, server_commands
from planner.cli.local.ready import wait_ready
from planner.cli.local.shutdown import clear, shut_down
from planner.cli.local.start import Folders, kill
from planner.cli.profiling.engines import NAMESPACE, EngineKind, name_of
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
    """A deployment that answers, *start_up_seconds* after its engines were asked for."""

    spec: DeploymentSpec
    start_up_seconds: float


@asynccontextmanager
async def deployed(
    kind: EngineKind,
    parallelism: Parallelism,
    *,
    roles: Collection[Role] = (Role.AGGREGATED,),
    gpus: Sequence[str] = (),
    timeout: float,
) -> AsyncIterator[Deployed]:
    """Yield one engine of each of *roles* behind a frontend once all answer.

    Each gets its part of *gpus*, as CUDA names them; of none they take what they find.
    Leaving the block ends all of its processes; so does the end of this process, whatever ends it.
    Raises MeasuringFailed when an engine is not ready in *timeout* seconds.
    """
    with tempfile.TemporaryDirectory(prefix="planner-profile-") as folder:
        folders = Folders(state=Path(folder))
        folders.prepare()
        sockets = socket_directory(folders.state)
        ports = Ports(http=free_port(), etcd=free_port(), etcd_peer=free_port(), nats=free_port())
        engines = {
            role: RoleSpec(
                command=tuple(launched(kind.command(parallelism, ports, role=role))),
                env=devices(gpus, parallelism, index),
            )
            for index, role in enumerate(roles)
        }
        daemon = start_daemon(sockets, log=folders.log("supervisor"))
        try:
            spec = _spec(daemon, folders, ports, engines, model=kind.model_name)
            try:
                ready = await _ready(daemon, folders, ports, spec, timeout=timeout)
            except (PlannerError, RuntimeFault) as error:
                raise MeasuringFailed(f"{parallelism}: {error}") from error
            yield ready
        finally:
            await _end(daemon, folders)


def devices(gpus: Sequence[str], parallelism: Parallelism, index: int) -> dict[str, str]:
    """Return the variables that give the engine at *index* its GPUs."""
    count = parallelism.gpus
    own = gpus[index * count : (index + 1) * count]
    return {DEVICES: ",".join(own)} if own else {}


def _spec(
    daemon: Daemon, folders: Folders, ports: Ports, engines: Mapping[Role, RoleSpec], *, model: str
) -> DeploymentSpec:
    return DeploymentSpec(
        namespace=NAMESPACE,
        endpoint=daemon.endpoint,
        store_url=ports.store_url,
        plane_url=ports.plane_url,
        frontend_url=ports.frontend_url,
        log_directory=str(folders.logs),
        roles=engines,
        drain_seconds=_DRAIN_SECONDS,
        model=model,
    )


async def _ready(
    daemon: Daemon, folders: Folders, ports: Ports, spec: DeploymentSpec, *, timeout: float
) -> Deployed:
    await wait_daemon(daemon, timeout=_DAEMON_SECONDS, log=folders.log("supervisor"))
    await _start(folders, ports, spec)
    asked = time.monotonic()
    await wait_ready(spec, dict.fromkeys(spec.roles, 1), timeout=timeout, tell=lambda _: None)
    return Deployed(spec=spec, start_up_seconds=time.monotonic() - asked)


async def _start(folders: Folders, ports: Ports, spec: DeploymentSpec) -> None:
    """Start all processes of *spec*; the engines are asked for last."""
    spec.save(spec_path(folders.state))
    client = CircusClient(spec.endpoint)
    try:
        pid = client.pid()
        servers = server_commands(folders.data, ports)
        await _add(client, folders, {n: launched(c, parent=pid) for n, c in servers.items()})
        for port in (ports.etcd, ports.nats):
            await wait_port(LOOPBACK, port, timeout=_SERVER_SECONDS)
        await _add(client, folders, {FRONTEND: launched(_frontend(ports), parent=pid)})
        for role, engine in spec.roles.items():
            command = {name_of(role): engine.command_for(name_of(role), parent=pid)}
            await _add(client, folders, command, env=engine.env)
    finally:
        client.close()


async def _add(
    client: CircusClient,
    folders: Folders,
    commands: Mapping[str, list[str]],
    *,
    env: Mapping[str, str] | None = None,
) -> None:
    for name, command in commands.items():
        await client.add(name, command, log=folders.log(name), env=dict(env or {}))


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
