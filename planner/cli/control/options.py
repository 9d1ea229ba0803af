"""The flags of `run` and `plan`: one for each setting, made from the settings themselves."""

from collections.abc import Callable, Collection, Sequence
from enum import StrEnum
from pathlib import Path
from typing import Any, TypeVar, get_args

import click
from click.shell_completion import CompletionItem

from planner.config import Settings

_Command = TypeVar("_Command", bound=Callable[..., Any])
_ALIASES = {"observe": ("--no-operation",)}
_SHAPES = {
    "sla": "TARGETS", "profile": "NAME|FILE", "parallelism": "ROLE=TPN", "mode": "sla|load",
    "min": "ROLE=N", "max": "ROLE=N", "max_gpus": "N", "tolerance": "SHARE", "kv_usage": "SHARE",
    "waiting": "N", "headroom": "FACTOR", "forecaster": "level|ensemble",
    "connector": "circus|kubernetes", "deployment": "NAME", "deployments": "FILE",
    "kube_namespace": "NAME", "kube_context": "NAME", "kube_kinds": "KIND,KIND",
    "frontends": "URL,URL",
    "state_dir": "DIR", "namespace": "NAME",
    "store": "URL", "servers": "ROLE=URL,URL",
    "fleet": "FILE", "engine": "vllm|sglang|tensorrt_llm",
    "prometheus": "URL", "prometheus_labels": "LABEL=VALUE", "prometheus_replica": "LABEL",
    "prometheus_token_file": "FILE", "prometheus_user": "NAME",
    "prometheus_password_file": "FILE", "prometheus_ca_file": "FILE",
    "model": "NAME", "journal": "FILE", "metrics_port": "PORT", "metrics_host": "ADDRESS",
}  # fmt: skip


def settings_options(
    *, without: tuple[str, ...] = (), only: Collection[str] = Settings.model_fields
) -> Callable[[_Command], _Command]:
    """Return a decorator that adds a flag for each setting, passed under the setting's name.

    That is each one of *only*, and none of *without*. Values stay text: `planner.config` reads
    them. *config* is the file named by ``--config``.
    """

    def add(command: _Command) -> _Command:
        for name in reversed([n for n in Settings.model_fields if n in only and n not in without]):
            command = _flag(name)(command)
        return click.option(
            "--config", type=click.Path(path_type=Path), envvar="PLANNER_CONFIG", metavar="FILE",
            help="Settings in TOML; the environment (PLANNER_*) and flags win over it.",
        )(command)  # fmt: skip

    return add


def shape(name: str) -> str:
    """Return how the value of the setting *name* looks as a flag's; empty for one without."""
    if isinstance(Settings.model_fields[name].default, bool):
        return ""
    return _SHAPES.get(name, "DURATION")


_FILES = {
    "deployments": "file", "fleet": "file", "journal": "file", "state_dir": "dir",
    "prometheus_token_file": "file", "prometheus_password_file": "file",
    "prometheus_ca_file": "file",
}  # fmt: skip


def _completed(name: str, incomplete: str) -> list[CompletionItem]:
    """Return what the value of the setting *name* may become, as far as that can be listed."""
    from planner.profiles import bundled_profiles

    if name in _FILES:
        return [CompletionItem(incomplete, type=_FILES[name])]
    values = bundled_profiles() if name == "profile" else _choices(name)
    if name == "profile" and not any(value.startswith(incomplete) for value in values):
        return [CompletionItem(incomplete, type="file")]
    return [CompletionItem(value) for value in values if value.startswith(incomplete)]


def _choices(name: str) -> Sequence[str]:
    annotation = Settings.model_fields[name].annotation
    kinds = (annotation, *get_args(annotation))
    enums = [one for one in kinds if isinstance(one, type) and issubclass(one, StrEnum)]
    return [value.value for kind in enums for value in kind]


def _flag(name: str) -> Callable[[_Command], _Command]:
    field = Settings.model_fields[name]
    default = Settings().model_dump(mode="json")[name]
    shown = f"{field.description}  [default: {default}]" if default else field.description
    flags = [f"--{name.replace('_', '-')}", *_ALIASES.get(name, ()), name]
    if isinstance(field.default, bool):
        return click.option(*flags, is_flag=True, help=field.description)
    return click.option(
        *flags,
        multiple=name == "sla" or isinstance(field.default, dict | tuple),
        metavar=shape(name),
        shell_complete=lambda _context, _parameter, incomplete: _completed(name, incomplete),
        help=shown,
    )
