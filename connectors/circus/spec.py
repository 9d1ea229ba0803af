"""What a local deployment is made of: written by `planner serve`, read by all who act on it."""

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Self

from connectors.replicas import replica_index
from planner.core.role import Role
from planner.errors import ConfigError

_FILE = "deployment.json"
_SCHEMA_VERSION = 1
_NAME = "{name}"
_PARENT = "{parent}"
_PORT = "{port}"


def spec_path(state: Path) -> Path:
    """Return where the deployment of the state folder *state* is described."""
    return state / _FILE


@dataclass(frozen=True, slots=True, kw_only=True)
class RoleSpec:
    """How one replica of a role is started.

    In *command*, ``{name}`` becomes its name, ``{parent}`` the supervisor's process id and
    ``{port}`` a port of its own, counted from *first_port*.
    """

    command: tuple[str, ...]
    gpus: int = 0
    """GPUs of this machine that one replica occupies; 0 for the simulated engine."""
    env: Mapping[str, str] = field(default_factory=dict)
    first_port: int | None = None
    """Set for a server that registers nowhere: it is known by its address."""
    host: str = "127.0.0.1"
    ready_path: str = "/health"
    """Where such a server answers with 200 once it is ready."""

    def command_for(self, name: str, *, parent: int) -> list[str]:
        """Return the command of the replica *name* under the supervisor *parent*."""
        filled = {_NAME: name, _PARENT: str(parent)}
        if self.first_port is not None:
            filled[_PORT] = str(self.port(name))
        return [_filled(part, filled) for part in self.command]

    def port(self, name: str) -> int:
        """Return the port of the replica *name*; the first one has the first port."""
        return (self.first_port or 0) + replica_index(name) - 1

    def url(self, name: str) -> str:
        """Return where the replica *name* listens."""
        return f"http://{self.host}:{self.port(name)}"


def _filled(part: str, values: Mapping[str, str]) -> str:
    for hole, value in values.items():
        part = part.replace(hole, value)
    return part


@dataclass(frozen=True, slots=True, kw_only=True)
class DeploymentSpec:
    """Addresses, names and commands of one deployment on this machine."""

    namespace: str
    endpoint: str
    """Of the supervisor: ``ipc://`` and a path."""
    store_url: str
    plane_url: str
    frontend_url: str
    log_directory: str
    roles: Mapping[Role, RoleSpec]
    gpus: tuple[str, ...] = ()
    """Indexes of the GPUs that its replicas share."""
    drain_seconds: float = 30.0
    """How long a replica may take to finish what it serves; then it is killed."""
    notice_seconds: float = 0.0
    """How long senders have to turn away from a replica that leaves, where nothing routes them."""
    engine: str | None = None
    """What servers that register nowhere are, where their metrics do not tell."""
    model: str | None = None
    """Name under which the frontend serves it."""
    profile: str | None = None
    parallelism: Mapping[str, str] = field(default_factory=dict)
    """How a replica of each role is spread over GPUs, such as ``tp2``, where that was chosen."""
    sla: str | None = None
    """What the deployment was started for, as in ``--sla``."""
    cold_start: str | None = None
    """Time from starting a replica until it serves, such as ``3s``; None where it is measured."""
    owner_pid: int | None = None
    """The `planner serve` that ends when it ends; None when it was detached."""

    @property
    def is_served_by_others(self) -> bool:
        """Whether its replicas are servers that register nowhere, known by their addresses."""
        return any(role.first_port is not None for role in self.roles.values())

    @classmethod
    def load(cls, path: Path) -> Self:
        """Read a spec. Raises ConfigError when there is none or it cannot be understood."""
        try:
            return cls._decode(json.loads(path.read_bytes()))
        except FileNotFoundError:
            message = f"no deployment is described in {path}"
            raise ConfigError(message, hint="planner serve") from None
        except (OSError, ValueError, KeyError, TypeError) as error:
            message = f"{path} does not describe a deployment: {error!r}"
            raise ConfigError(message, hint="remove it, then: planner serve") from error

    def save(self, path: Path) -> None:
        """Write this spec in one step, readable by its owner only."""
        new = path.with_suffix(".new")
        new.touch(mode=0o600)
        new.write_text(json.dumps(self._encode(), indent=2))
        new.replace(path)

    def _encode(self) -> dict[str, Any]:
        fields = {name: getattr(self, name) for name in self.__slots__}
        roles = {
            role.value: {name: getattr(spec, name) for name in spec.__slots__}
            for role, spec in self.roles.items()
        }
        return {"schema_version": _SCHEMA_VERSION, **fields, "roles": roles}

    @classmethod
    def _decode(cls, document: dict[str, Any]) -> Self:
        version = document.pop("schema_version")
        if version != _SCHEMA_VERSION:
            raise ValueError(f"schema_version is {version}, this program reads {_SCHEMA_VERSION}")
        roles = {
            Role(name): RoleSpec(**spec | {"command": tuple(spec["command"])})
            for name, spec in document.pop("roles").items()
        }
        return cls(roles=roles, gpus=tuple(document.pop("gpus")), **document)
