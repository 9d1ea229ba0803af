"""The command line of ``python -m workers.vllm``, and the flags that vLLM gets from it.

What follows ``--`` goes to vLLM as it is. vLLM itself is not imported here.
"""

import json
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from planner.core.profile import Parallelism
from planner.core.role import Role
from planner.errors import ConfigError
from workers.options import (
    OneLineParser,
    WorkerOptions,
    add_worker_arguments,
    positive,
    read_options,
)
from workers.vllm.environment import Device
from workers.vllm.lease import EXTENSION

_OURS = {
    "--model": "--model",
    "--served-model-name": "--model-name",
    "--tensor-parallel-size": "--parallelism tp2",
    "-tp": "--parallelism tp2",
    "--pipeline-parallel-size": "--parallelism tp1pp2",
    "-pp": "--parallelism tp1pp2",
    "--data-parallel-size": "--data-parallel-size before the --",
    "-dp": "--data-parallel-size before the --",
    "--kv-events-config": "nothing: the worker listens to KV events itself",
}
_CPU_KV_BYTES = "1G"
"""Left to itself, each worker would take nearly all memory of the machine for its KV cache."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """One worker around vLLM. *flags* are the user's, from the file first."""

    options: WorkerOptions
    parallelism: Parallelism
    data_parallel: int
    flags: tuple[str, ...]
    log_level: str
    check_only: bool = False

    @property
    def gpus(self) -> int:
        """GPUs of the worker."""
        return self.parallelism.gpus * self.data_parallel


def parse(arguments: list[str]) -> Settings:
    """Return the settings; exits with 2 for bad flags, raises ConfigError for a bad file."""
    own, passed = _split(arguments)
    given = parser().parse_args(own)
    flags = (*_file_flags(given.engine_config), *passed)
    return Settings(
        options=read_options(given),
        parallelism=Parallelism.parse(given.parallelism),
        data_parallel=given.data_parallel_size,
        flags=tuple(_checked(flags)),
        log_level=given.log_level,
        check_only=given.check,
    )


def engine_flags(settings: Settings, device: Device, *, events: str | None) -> list[str]:
    """Return the flags for vLLM's own parser. *events* is where it reports its KV blocks to."""
    options, spread = settings.options, settings.parallelism
    transfer, flags = apart(settings.flags, {"--kv-transfer-config"})
    made = [
        *(["--enforce-eager", f"--kv-cache-memory-bytes={_CPU_KV_BYTES}"] if device.is_cpu else []),
        *([f"--worker-extension-cls={EXTENSION}"] if options.role is Role.PREFILL else []),
        *flags,
        f"--model={options.model}",
        f"--served-model-name={options.model_name}",
        f"--tensor-parallel-size={spread.tp}",
        f"--pipeline-parallel-size={spread.pp}",
        f"--data-parallel-size={settings.data_parallel}",
        "--disable-log-stats",  # vLLM's own page and log lines; the worker keeps the figures
        "--enable-logging-iteration-details",
    ]
    if options.role is not Role.AGGREGATED:
        chosen = _connector(options.role, device) | _object(transfer)
        made.append(f"--kv-transfer-config={json.dumps(chosen)}")
    if events is not None:
        publisher = {"enable_kv_cache_events": True, "publisher": "zmq", "endpoint": events}
        made.append(f"--kv-events-config={json.dumps(publisher)}")
    return made


def value_of(flags: Iterable[str], *names: str) -> str | None:
    """Return the last value that *flags* give any of *names*, or None."""
    found, last = None, ""
    for word in flags:
        name, equals, value = word.partition("=")
        if equals and _spelled(name) in names:
            found = value
        elif _spelled(last) in names and not word.startswith("--"):
            found = word
        last = word
    return found


def apart(words: Iterable[str], names: Collection[str]) -> tuple[list[str], list[str]]:
    """Return those of *words* that give one of *names* a value, each as one, and the rest."""
    found: list[str] = []
    rest: list[str] = []
    is_value_next = False
    for word in words:
        name, equals, value = word.partition("=")
        if is_value_next and not word.startswith("--"):
            found[-1] += f"={word}"
            is_value_next = False
        elif _spelled(name) in names:
            found.append(f"{_spelled(name)}{equals}{value}")
            is_value_next = not equals
        else:
            rest.append(word)
            is_value_next = False
    return found, rest


def parser() -> OneLineParser:
    """Return what reads the worker's own flags; who starts such workers checks theirs with it."""
    made = OneLineParser(
        prog="python -m workers.vllm",
        description="One worker around vLLM.",
        epilog="What follows -- goes to vLLM as it is: -- --max-model-len 8192 --dtype bfloat16",
    )
    add_worker_arguments(made)
    group = made.add_argument_group("vLLM")
    group.add_argument("--parallelism", default="tp1", metavar="tp2pp1", help="over how many GPUs")
    group.add_argument("--data-parallel-size", type=positive, default=1, metavar="N")
    group.add_argument(
        "--engine-config", type=Path, metavar="FILE",
        help="vLLM's arguments as YAML or JSON: max-model-len: 8192",
    )  # fmt: skip
    group.add_argument(
        "--check", action="store_true", help="only look whether it could start here, then exit"
    )
    return made


def _split(arguments: list[str]) -> tuple[list[str], list[str]]:
    """Return what is before the first ``--`` and what is after it."""
    if "--" not in arguments:
        return arguments, []
    at = arguments.index("--")
    return arguments[:at], arguments[at + 1 :]


def _checked(flags: Iterable[str]) -> Iterable[str]:
    """Pass *flags* on; raises ConfigError for one that the worker itself decides."""
    for word in flags:
        name = _spelled(word.partition("=")[0])
        if name in _OURS:
            raise ConfigError(f"{name} is set by the worker", hint=f"use {_OURS[name]}")
        yield word


def _file_flags(path: Path | None) -> Iterable[str]:
    if path is None:
        return
    import yaml  # comes with vLLM

    try:
        content = yaml.safe_load(path.read_text(encoding="utf-8"))
    except (OSError, ValueError, yaml.YAMLError) as error:
        reason = " ".join(str(error).split())
        raise ConfigError(f"engine config {path}: {reason}") from error
    if not isinstance(content, Mapping):
        raise ConfigError(f"engine config {path}: not a mapping of arguments to values")
    for key, value in content.items():
        yield from flag(str(key), value)


def flag(name: str, value: object) -> list[str]:
    """Return the flag that sets *name* to *value*: none for null, ``--no-`` for false."""
    dashed = f"--{name.replace('_', '-')}"
    match value:
        case None:
            return []
        case True:
            return [dashed]
        case False:
            return [f"--no-{dashed.removeprefix('--')}"]
        case dict():
            return [f"{dashed}={json.dumps(value)}"]
        case list():
            return [dashed, *(str(each) for each in value)]
        case _:
            return [f"{dashed}={value}"]


def _connector(role: Role, device: Device) -> dict[str, Any]:
    """Return how KV blocks travel. A load that fails is computed here instead of failing."""
    chosen: dict[str, Any] = {
        "kv_connector": "NixlConnector",
        "kv_role": "kv_producer" if role is Role.PREFILL else "kv_consumer",
        "kv_load_failure_policy": "recompute",
    }
    return chosen | ({"kv_buffer_device": "cpu"} if device.is_cpu else {})


def _object(flags: list[str]) -> dict[str, Any]:
    """Return the JSON object that the last of *flags* gives; an empty one without any."""
    if not flags:
        return {}
    name, _, text = flags[-1].partition("=")
    try:
        value = json.loads(text)
    except ValueError as error:
        raise ConfigError(f"{name} {text!r}: {error}") from error
    if not isinstance(value, dict):
        raise ConfigError(f"{name} {text!r}: not a JSON object")
    return value


def _spelled(name: str) -> str:
    """Return a flag's name as vLLM documents it: it takes underscores too."""
    return name.replace("_", "-")
