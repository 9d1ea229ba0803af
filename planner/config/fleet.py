"""The description of a fleet of servers of another make: how planner starts one of each role."""

import shlex
import tomllib
from collections.abc import Mapping
from itertools import pairwise
from pathlib import Path
from typing import Annotated

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, ValidationError

from planner.config.fields import Duration
from planner.core.role import Role
from planner.errors import ConfigError
from planner.sources.engines.names import EngineKind

PORTS_EACH = 100
"""How far apart the first ports of two roles are at least."""
_EXAMPLE = 'command = "vllm serve MODEL --port {port}"'


def _words(value: object) -> object:
    return shlex.split(value) if isinstance(value, str) else value


class FleetRole(BaseModel):
    """How one server of a role is started and known."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    command: Annotated[tuple[str, ...], BeforeValidator(_words), Field(min_length=1)]
    """Its program and arguments, with ``{port}`` and, if of use, ``{name}`` in them."""
    first_port: int = Field(ge=1, le=65535 - PORTS_EACH)
    """Port of the first one; each further one has the next."""
    gpus: int = Field(default=0, ge=0)
    """GPUs that one occupies."""
    host: str = "127.0.0.1"
    """Where the others reach it."""
    ready: str = Field(default="/health", pattern="^/")
    """Where it answers with 200 once it serves."""
    env: Mapping[str, str] = {}


class FleetDescription(BaseModel):
    """A fleet on this machine."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    roles: Mapping[Role, FleetRole] = Field(min_length=1)
    gpus: tuple[Annotated[str, BeforeValidator(str)], ...] = ()
    """Indexes of the GPUs that they share."""
    engine: EngineKind | None = None
    """What they are; told by their metrics when left out."""
    drain: Duration = 60.0
    """How long one that is scaled away may take to become idle; then it is ended anyway."""
    notice: Duration = 10.0
    """How long the senders of requests have to turn elsewhere before it is ended at all."""


def read_fleet(path: Path) -> FleetDescription:
    """Return the fleet described in the TOML file *path*; raises ConfigError."""
    try:
        values = tomllib.loads(path.read_text(encoding="utf-8"))
        fleet = FleetDescription.model_validate(values, context={})
    except ConfigError as error:
        raise ConfigError(f"{path}: {error}", hint=error.hint) from None
    except tomllib.TOMLDecodeError as error:
        raise ConfigError(f"{path}: not TOML: {error}", hint=_EXAMPLE) from None
    except ValidationError as error:
        raise _told(error, path) from None
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or error
        raise ConfigError(f"{path}: {reason}", hint="--fleet FILE") from None
    _check(fleet, path)
    return fleet


def _check(fleet: FleetDescription, path: Path) -> None:
    for role, its in fleet.roles.items():
        where = f"{path}: roles.{role}"
        if not any("{port}" in part for part in its.command):
            raise ConfigError(f"{where}.command has no {{port}}", hint=_EXAMPLE)
        if its.gpus > len(fleet.gpus):
            raise ConfigError(
                f"{where}.gpus {its.gpus}: the fleet has {len(fleet.gpus)}", hint='gpus = ["0"]'
            )
    ports = sorted((its.first_port, role) for role, its in fleet.roles.items())
    for (low, one), (high, other) in pairwise(ports):
        if high - low < PORTS_EACH:
            raise ConfigError(
                f"{path}: roles.{one} and roles.{other} begin {high - low} ports apart, the least"
                f" is {PORTS_EACH}",
                hint=f"first_port = {low + PORTS_EACH}",
            )
    if Role.AGGREGATED in fleet.roles and len(fleet.roles) > 1:
        raise ConfigError(
            f"{path}: aggregated servers and others do not make one fleet",
            hint="one file for each fleet",
        )


def _told(error: ValidationError, path: Path) -> ConfigError:
    first = error.errors(include_url=False)[0]
    place = ".".join(str(part) for part in first["loc"])
    message = first["msg"][:1].lower() + first["msg"][1:]
    return ConfigError(f"{path}: {place}: {message}", hint=_EXAMPLE)
