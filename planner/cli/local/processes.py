"""The command line of every process in a local deployment."""

import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from connectors.circus.spec import RoleSpec
from planner.cli.local.choices import LOOPBACK, Choices, PlannerMode
from planner.cli.local.engines import engine_arguments
from planner.core.role import Role
from planner.core.sla import Sla
from planner.core.units import parse_duration
from runtime.servers import etcd_command, nats_command

PLANNER, FRONTEND, ETCD, NATS = "planner", "frontend", "etcd", "nats"


@dataclass(frozen=True, slots=True, kw_only=True)
class Ports:
    """The loopback ports of one deployment."""

    http: int
    etcd: int
    etcd_peer: int
    nats: int

    @property
    def store_url(self) -> str:
        """Where instances are found."""
        return f"etcd://{LOOPBACK}:{self.etcd}"

    @property
    def plane_url(self) -> str:
        """Where requests go."""
        return f"nats://{LOOPBACK}:{self.nats}"

    @property
    def frontend_url(self) -> str:
        """Where users' requests arrive."""
        return f"http://{LOOPBACK}:{self.http}"


def launched(command: list[str], *, parent: int | str = "{parent}") -> list[str]:
    """Return *command* as a process that ends with the supervisor *parent*."""
    return [sys.executable, "-m", "runtime.process", "--parent", str(parent), "--", *command]


def server_commands(data: Path, ports: Ports) -> Mapping[str, list[str]]:
    """Return the commands of etcd and nats-server, which keep their data under *data*."""
    return {
        ETCD: etcd_command(data_dir=data / ETCD, client_port=ports.etcd, peer_port=ports.etcd_peer),
        NATS: nats_command(data_dir=data / NATS, port=ports.nats),
    }


def frontend_command(choices: Choices, ports: Ports) -> list[str]:
    """Return the command of the frontend."""
    return [
        *_module("runtime.frontend", ports, choices.namespace),
        f"--port={ports.http}",
        f"--drain-timeout={parse_duration(choices.drain):g}",
        f"--strategy={choices.router}",
        *_targets(Sla.parse(choices.sla)),
    ]


def _targets(sla: Sla) -> list[str]:
    seconds = {"--ttft-target-ms": sla.ttft_seconds, "--itl-target-ms": sla.itl_seconds}
    return [f"{flag}={value * 1e3:g}" for flag, value in seconds.items() if value is not None]


def planner_command(choices: Choices) -> list[str]:
    """Return the command of the planner, which acts only where that was asked for."""
    command = [sys.executable, "-m", "planner", "-v", "run", f"--state-dir={choices.state}"]
    command += [f"--sla={choices.sla}", f"--interval={choices.interval}"]
    if choices.metrics_port is not None:
        command.append(f"--metrics-port={choices.metrics_port}")
    if choices.gpu_budget is not None:
        command.append(f"--max-gpus={choices.gpu_budget}")
    return command if choices.planner is PlannerMode.APPLY else [*command, "--observe"]


def role_specs(choices: Choices, ports: Ports) -> Mapping[Role, RoleSpec]:
    """Return how replicas of each role in the deployment are started."""
    return {
        role: RoleSpec(
            command=tuple(launched(_worker_command(role, choices, ports))),
            gpus=choices.parallelism[role].gpus if choices.gpus else 0,
        )
        for role in choices.replicas
    }


def _worker_command(role: Role, choices: Choices, ports: Ports) -> list[str]:
    return [
        *_module(f"workers.{choices.engine}", ports, choices.namespace),
        f"--role={role}",
        "--name={name}",
        f"--drain-timeout={choices.drain}",
        f"--model={choices.model}",
        f"--model-name={choices.model_name}",
        *engine_arguments(choices, role),
    ]


def _module(name: str, ports: Ports, namespace: str) -> list[str]:
    return [
        *(sys.executable, "-m", name),
        f"--store={ports.store_url}",
        f"--plane={ports.plane_url}",
        f"--namespace={namespace}",
    ]
