"""What `planner serve` was asked for, checked before anything starts."""

import socket
from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path

from planner.core.role import Role
from planner.core.sla import Sla
from planner.core.units import parse_duration
from planner.errors import ConfigError
from planner.profiles import load_profile

LOOPBACK = "127.0.0.1"
_TOKENIZER = "tokenizer.json"


class PlannerMode(StrEnum):
    """What the planner in the deployment does."""

    OBSERVE = "observe"
    APPLY = "apply"
    OFF = "off"


@dataclass(frozen=True, slots=True, kw_only=True)
class Choices:
    """One deployment as the user wants it; *model* None is the one bundled for simulations."""

    state: Path
    namespace: str
    model: Path | None
    profile: str
    replicas: Mapping[Role, int]
    planner: PlannerMode
    sla: str
    http_port: int
    max_gpus: int | None
    cold_start: str
    drain: str


def check(choices: Choices) -> None:
    """Raise ConfigError for what cannot be started, in one line; nothing is changed."""
    Sla.parse(choices.sla, what="--sla")
    for flag, text in (("--cold-start", choices.cold_start), ("--drain", choices.drain)):
        parse_duration(text, what=f"{flag} {text}", hint=f"{flag} {{}}")
    _check_gpus(choices)
    _check_model(choices.model)
    _check_port(choices.http_port)


def replicas_by_role(
    *, prefill: int | None, decode: int | None, aggregated: int | None
) -> Mapping[Role, int]:
    """Return the replicas to start; one prefill and one decode if nothing was said.

    Raises ConfigError for both kinds of deployment at once.
    """
    if aggregated is None:
        return {Role.PREFILL: 1 if prefill is None else prefill, Role.DECODE: decode or 1}
    if prefill is not None or decode is not None:
        raise ConfigError(
            f"--aggregated {aggregated} does both phases, so it excludes --prefill and --decode",
            hint=f"planner serve --aggregated {aggregated}",
        )
    return {Role.AGGREGATED: aggregated}


def _check_gpus(choices: Choices) -> None:
    per_replica = load_profile(choices.profile).engines[0].parallelism.gpus
    needed = per_replica * sum(choices.replicas.values())
    if choices.max_gpus is not None and needed > choices.max_gpus:
        asked = " ".join(f"--{role} {count}" for role, count in choices.replicas.items())
        raise ConfigError(
            f"{asked}: these replicas need {needed} GPUs, --max-gpus is {choices.max_gpus}",
            hint=f"--max-gpus {needed}",
        )


def _check_model(model: Path | None) -> None:
    if model is None:
        return
    if not model.is_dir():
        raise ConfigError(f"--model {model}: no such folder", hint=f"a folder with {_TOKENIZER}")
    if not (model / _TOKENIZER).is_file():
        raise ConfigError(f"--model {model}: no {_TOKENIZER} in it", hint="use a model's folder")


def _check_port(port: int) -> None:
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((LOOPBACK, port))
        except OSError as error:
            raise ConfigError(
                f"--http-port {port}: {error.strerror}", hint="--http-port 0 takes a free one"
            ) from None
