"""Starts a local deployment: the supervisor, what everything stands on, then all the rest."""

import asyncio
import shutil
import signal
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

from connectors.circus.client import CircusClient
from connectors.circus.daemon import Daemon, wait_daemon
from connectors.circus.drain import see_out
from connectors.circus.gpus import take_gpus
from connectors.circus.processes import DEVICES, children, send
from connectors.circus.spec import DeploymentSpec, spec_path
from connectors.replicas import free_names
from planner.cli.local.choices import LOOPBACK, Choices, PlannerMode
from planner.cli.local.processes import (
    ETCD,
    FRONTEND,
    NATS,
    PLANNER,
    Ports,
    frontend_command,
    launched,
    planner_command,
    role_specs,
    server_commands,
)
from planner.core.units import parse_duration
from planner.errors import PlannerError
from runtime.errors import RuntimeFault
from runtime.servers import free_port, wait_port

_DAEMON_SECONDS = 10.0
_SERVER_SECONDS = 20.0
_KILL_SECONDS = 5.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Folders:
    """Where a deployment keeps what it writes; for its owner only."""

    state: Path

    @property
    def logs(self) -> Path:
        """Where each process has its log."""
        return self.state / "logs"

    @property
    def data(self) -> Path:
        """What etcd and nats-server remember."""
        return self.state / "data"

    def log(self, name: str) -> Path:
        """Return the log of the process *name*."""
        return self.logs / f"{name}.log"

    def prepare(self) -> None:
        """Create the folders, without what an earlier deployment left in them."""
        for folder in (self.logs, self.data):
            folder.mkdir(mode=0o700, exist_ok=True)
        for log in self.logs.glob("*.log"):
            log.unlink()
        for server in (ETCD, NATS):
            shutil.rmtree(self.data / server, ignore_errors=True)


async def start(
    daemon: Daemon, choices: Choices, *, owner_pid: int | None, tell: Callable[[str], None]
) -> DeploymentSpec:
    """Start everything under *daemon*; return its description once all of it runs, ready or not.

    Raises PlannerError when something does not start; the caller then ends the rest.
    """
    folders = Folders(state=choices.state)
    client = CircusClient(daemon.endpoint)
    try:
        await wait_daemon(daemon, timeout=_DAEMON_SECONDS, log=folders.log("supervisor"))
        ports = _ports(choices)
        spec = _describe(choices, ports, daemon, owner_pid=owner_pid)
        spec.save(spec_path(choices.state))
        await _start_servers(client, folders, ports)
        tell("etcd and nats-server are up")
        await _start_rest(client, folders, choices, spec, ports)
    finally:
        client.close()
    return spec


async def kill(daemon: Daemon) -> None:
    """End the supervisor and all that it started, at once."""
    pids = [child.pid for child in children(daemon.process.pid)]
    daemon.process.kill()  # first, or it would start them again
    daemon.process.wait()
    for pid in pids:
        send(pid, signal.SIGKILL)
    await asyncio.gather(*(see_out(pid, seconds=_KILL_SECONDS) for pid in pids))


def _ports(choices: Choices) -> Ports:
    return Ports(
        http=choices.http_port or free_port(),
        etcd=free_port(),
        etcd_peer=free_port(),
        nats=free_port(),
    )


def _describe(
    choices: Choices, ports: Ports, daemon: Daemon, *, owner_pid: int | None
) -> DeploymentSpec:
    return DeploymentSpec(
        namespace=choices.namespace,
        endpoint=daemon.endpoint,
        store_url=ports.store_url,
        plane_url=ports.plane_url,
        frontend_url=ports.frontend_url,
        log_directory=str(Folders(state=choices.state).logs),
        roles=role_specs(choices, ports),
        drain_seconds=parse_duration(choices.drain),
        model=choices.model_name,
        gpus=choices.gpus,
        profile=choices.profile,
        parallelism={role.value: str(one) for role, one in choices.parallelism.items()},
        sla=choices.sla,
        cold_start=choices.cold_start,
        owner_pid=owner_pid,
    )


async def _start_servers(client: CircusClient, folders: Folders, ports: Ports) -> None:
    pid = client.pid()
    commands = server_commands(folders.data, ports)
    await _add(client, folders, {n: launched(c, parent=pid) for n, c in commands.items()})
    for name, port in ((ETCD, ports.etcd), (NATS, ports.nats)):
        try:
            await wait_port(LOOPBACK, port, timeout=_SERVER_SECONDS)
        except RuntimeFault as error:
            hint = f"see {folders.log(name)}"
            raise PlannerError(f"{name} does not start: {error}", hint=hint) from error


async def _start_rest(
    client: CircusClient, folders: Folders, choices: Choices, spec: DeploymentSpec, ports: Ports
) -> None:
    await _start_workers(client, folders, choices, spec)
    pid = client.pid()
    commands = {FRONTEND: launched(frontend_command(choices, ports), parent=pid)}
    if choices.planner is not PlannerMode.OFF:
        commands[PLANNER] = launched(planner_command(choices), parent=pid)
    await _add(client, folders, commands)


async def _start_workers(
    client: CircusClient, folders: Folders, choices: Choices, spec: DeploymentSpec
) -> None:
    free = list(spec.gpus)
    commands: dict[str, list[str]] = {}
    devices: dict[str, Mapping[str, str]] = {}
    for role, role_spec in spec.roles.items():
        for name in free_names(role, (), choices.replicas[role]):
            commands[name] = role_spec.command_for(name, parent=client.pid())
            gpus = take_gpus(free, role_spec.gpus) or ()  # there are enough, which was checked
            devices[name] = {DEVICES: ",".join(gpus)} if gpus else {}
    await _add(client, folders, commands, env=devices)


async def _add(
    client: CircusClient,
    folders: Folders,
    commands: Mapping[str, list[str]],
    *,
    env: Mapping[str, Mapping[str, str]] | None = None,
) -> None:
    await asyncio.gather(
        *(
            client.add(name, command, log=folders.log(name), env=(env or {}).get(name, {}))
            for name, command in commands.items()
        )
    )
