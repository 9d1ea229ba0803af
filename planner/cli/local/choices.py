"""What `planner serve` was asked for, checked before anything starts."""

import socket
from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import workers.simulated
from planner.cli.local.engines import (
    SIMULATED,
    VLLM,
    check_engine,
    read_parallelism,
    visible_gpus,
)
from planner.cli.paths import state_directory
from planner.core.profile import Parallelism
from planner.core.role import Role
from planner.core.sla import Sla
from planner.core.units import parse_duration
from planner.errors import ConfigError
from planner.profiles import load_profile
from runtime.errors import RuntimeFault, ServerUnavailable
from runtime.instance import checked_name
from runtime.servers import find_program

LOOPBACK = "127.0.0.1"
_TOKENIZER = "tokenizer.json"
_BUNDLED_MODEL = Path(workers.simulated.__file__).parent / "model"
_BUNDLED_NAME = "simulated"
_SIMULATED_PROFILE = "llama-3.1-8b-fp8-h200"
_SIMULATED_COLD_START = "3s"
_AS_GIVEN = (
    *("namespace", "engine", "engine_arguments", "sla"),
    *("http_port", "metrics_port", "interval", "drain", "router"),
)


class PlannerMode(StrEnum):
    """What the planner in the deployment does."""

    OBSERVE = "observe"
    APPLY = "apply"
    OFF = "off"


@dataclass(frozen=True, slots=True, kw_only=True)
class Choices:
    """One deployment as the user wants it; the names are those of the flags."""

    state: Path
    namespace: str
    model: Path
    model_name: str
    engine: str
    engine_config: Path | None
    engine_arguments: tuple[str, ...]
    profile: str | None
    replicas: Mapping[Role, int]
    parallelism: Mapping[Role, Parallelism]
    """Of a simulated engine the profile's first where a role is left out."""
    gpus: tuple[str, ...]
    """Names of the GPUs that replicas get for themselves; none of a CPU or a simulated engine."""
    planner: PlannerMode
    sla: str
    router: str
    http_port: int
    metrics_port: int | None
    """Of the planner; None for no page of its own."""
    max_gpus: int | None
    cold_start: str | None
    """None is measured."""
    interval: str
    drain: str

    @property
    def asked(self) -> str:
        """The replicas as flags."""
        return " ".join(f"--{role} {count}" for role, count in self.replicas.items())

    @property
    def gpu_budget(self) -> int | None:
        """GPUs that a planner may hand out; None is unlimited."""
        limits = (self.max_gpus, len(self.gpus) or None)
        return min((limit for limit in limits if limit is not None), default=None)


def choose(given: Mapping[str, Any]) -> Choices:
    """Return what the flags *given* come to. Raises ConfigError where they contradict."""
    model: Path | None = given["model"]
    is_simulated = given["engine"] == SIMULATED
    _check_flags_of_engine(given)
    replicas = _replicas(given["prefill"], given["decode"], given["aggregated"])
    profile = given["profile"] or (_SIMULATED_PROFILE if is_simulated else None)
    return Choices(
        state=(given["state_dir"] or state_directory()).resolve(),
        model=_BUNDLED_MODEL if model is None else model.resolve(),
        model_name=_BUNDLED_NAME if model is None else model.resolve().name,
        replicas=replicas,
        parallelism=read_parallelism(
            given["parallelism"], list(replicas), default=None if is_simulated else Parallelism()
        ),
        gpus=visible_gpus(given["engine"]),
        max_gpus=given["max_gpus"],
        planner=PlannerMode(given["planner"]),
        profile=None if profile is None else _from_anywhere(profile),
        cold_start=given["cold_start"] or (_SIMULATED_COLD_START if is_simulated else None),
        engine_config=_absolute(given["engine_config"]),
        **{name: given[name] for name in _AS_GIVEN},
    )


def check(choices: Choices) -> None:
    """Raise ConfigError for what cannot be started, in one line; nothing is changed."""
    _check_installed()
    Sla.parse(choices.sla, what="--sla")
    for name in ("cold_start", "interval", "drain"):
        flag, text = f"--{name.replace('_', '-')}", getattr(choices, name)
        if text is not None:
            parse_duration(text, what=f"{flag} {text}", hint=f"{flag} {{}}")
    _check_namespace(choices.namespace)
    _check_gpus(choices)
    _check_model(choices.model)
    check_engine(choices)
    _check_port("--http-port", choices.http_port, hint="--http-port 0 takes a free one")
    _check_metrics_port(choices)


def _check_flags_of_engine(given: Mapping[str, Any]) -> None:
    if given["engine"] == SIMULATED and given["engine_config"] is not None:
        raise ConfigError(
            "--engine-config holds vLLM's arguments", hint="planner serve --engine vllm"
        )
    if given["engine"] == VLLM and given["model"] is None:
        raise ConfigError(
            "--engine vllm needs a model", hint="--model DIR, with config.json and weights in it"
        )


def _check_installed() -> None:
    if find_spec("circus") is None:
        raise ConfigError("circus is not installed", hint="pip install 'planner[local]'")
    for program in ("etcd", "nats-server"):
        try:
            find_program(program)
        except ServerUnavailable:
            message = f"{program} is not installed"
            raise ConfigError(message, hint="pip install 'planner[local]'") from None


def _replicas(
    prefill: int | None, decode: int | None, aggregated: int | None
) -> Mapping[Role, int]:
    if aggregated is None:
        return {Role.PREFILL: 1 if prefill is None else prefill, Role.DECODE: decode or 1}
    if prefill is not None or decode is not None:
        raise ConfigError(
            f"--aggregated {aggregated} does both phases, so it excludes --prefill and --decode",
            hint=f"planner serve --aggregated {aggregated}",
        )
    return {Role.AGGREGATED: aggregated}


def _from_anywhere(profile: str) -> str:
    """Return a file's absolute path, so that commands in other folders find it too."""
    return str(Path(profile).resolve()) if Path(profile).is_file() else profile


def _absolute(path: Path | None) -> Path | None:
    return None if path is None else path.resolve()


def _check_namespace(namespace: str) -> None:
    try:
        checked_name("--namespace", namespace)
    except RuntimeFault as error:
        raise ConfigError(str(error), hint="--namespace planner") from None


def _check_gpus(choices: Choices) -> None:
    needed = sum(count * _gpus(choices, role) for role, count in choices.replicas.items())
    if choices.max_gpus is not None and needed > choices.max_gpus:
        raise ConfigError(
            f"{choices.asked}: these replicas need {needed} GPUs, --max-gpus is {choices.max_gpus}",
            hint=f"--max-gpus {needed}",
        )


def _gpus(choices: Choices, role: Role) -> int:
    """Return the GPUs of a replica. Raises ProfileError for a profile that does not cover it."""
    spread = choices.parallelism.get(role)
    if choices.profile is not None:
        spread = load_profile(choices.profile).at(spread).parallelism
    assert spread is not None
    return spread.gpus


def _check_model(model: Path) -> None:
    if not model.is_dir():
        raise ConfigError(f"--model {model}: no such folder", hint=f"a folder with {_TOKENIZER}")
    if not (model / _TOKENIZER).is_file():
        raise ConfigError(f"--model {model}: no {_TOKENIZER} in it", hint="use a model's folder")


def _check_metrics_port(choices: Choices) -> None:
    port = choices.metrics_port
    if port is None:
        return
    if choices.planner is PlannerMode.OFF:
        raise ConfigError(
            f"--metrics-port {port} is the planner's, and --planner off leaves it out",
            hint="--planner observe",
        )
    if port == choices.http_port:
        raise ConfigError(
            f"--metrics-port {port}: --http-port is the same", hint="name another port"
        )
    _check_port("--metrics-port", port, hint="name another port")


def _check_port(flag: str, port: int, *, hint: str) -> None:
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((LOOPBACK, port))
        except OSError as error:
            message = f"{flag} {port}: {(error.strerror or str(error)).lower()}"
            raise ConfigError(message, hint=hint) from None
