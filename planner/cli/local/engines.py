"""What each engine of `planner serve` needs: its workers' flags, GPUs, and a look before it starts.

vLLM itself is not imported here.
"""

import contextlib
import io
import os
from argparse import Namespace
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from functools import partial
from importlib import resources
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

import planner.profiles
from planner.core.profile import Parallelism
from planner.core.role import Role
from planner.errors import ConfigError
from planner.profiles import bundled_profiles

if TYPE_CHECKING:
    from planner.cli.local.choices import Choices
    from workers.vllm.check import Machine

SIMULATED, VLLM = "simulated", "vllm"
_PATIENCE_SECONDS = {SIMULATED: 60.0, VLLM: 1800.0}
_POLL_SECONDS = {SIMULATED: 0.05, VLLM: 0.5}
# Stand for what is known only once everything else has started.
_PLACEHOLDERS = ("--name={name}", "--store=memory:", "--plane=memory:")
_T = TypeVar("_T")


def read_parallelism(
    text: str | None, roles: Sequence[Role], *, default: Parallelism | None
) -> Mapping[Role, Parallelism]:
    """Return the parallelism of *roles* from ``tp2`` or ``prefill=tp2,decode=tp4``.

    Roles that are left out get *default*; with None they are left out of the result too. Raises
    ConfigError.
    """
    rest = {} if default is None else dict.fromkeys(roles, default)
    if text is None:
        return rest
    if "=" not in text:
        return dict.fromkeys(roles, Parallelism.parse(text))
    return rest | dict(_pairs(text, roles))


def _pairs(text: str, roles: Sequence[Role]) -> Iterator[tuple[Role, Parallelism]]:
    from planner.config.fields import read_role

    for pair in text.split(","):
        name, _, value = pair.partition("=")
        role = read_role(name.strip(), "--parallelism")
        if role not in roles:
            raise ConfigError(
                f"--parallelism {pair}: this deployment has no such replicas",
                hint=f"its roles are {', '.join(sorted(roles))}",
            )
        yield role, Parallelism.parse(value)


def engine_arguments(choices: "Choices", role: Role) -> list[str]:
    """Return the flags that a worker of *role* gets for its engine, and what the user adds.

    What the worker itself has no flag for is vLLM's.
    """
    ours = _engine_flags(choices, role)
    if choices.engine != VLLM:
        return [*ours, *choices.engine_arguments]
    own, passed = _of_worker(choices)
    return [*ours, *own, "--", *passed]


def _engine_flags(choices: "Choices", role: Role) -> list[str]:
    spread = choices.parallelism.get(role)
    flags = [] if spread is None else [f"--parallelism={spread}"]
    if choices.engine == VLLM:
        if choices.engine_config is not None:
            flags.append(f"--engine-config={choices.engine_config}")
        return flags
    assert choices.profile is not None
    flags.append(f"--profile={_profile_file(choices.profile)}")
    if choices.cold_start is not None:
        flags.append(f"--cold-start={choices.cold_start}")
    return flags


def _of_worker(choices: "Choices") -> tuple[list[str], list[str]]:
    """Return the flags after ``--`` that the worker itself reads, and those for vLLM."""
    from workers.vllm.arguments import apart, parser

    return apart(choices.engine_arguments, parser().flags_with_values)


def _profile_file(profile: str) -> Path:
    if profile not in bundled_profiles():
        return Path(profile)
    return Path(str(resources.files(planner.profiles) / f"{profile}.json"))


def patience_seconds(engine: str) -> float:
    """Return how long a deployment may take to answer, beside a cold start that was set."""
    return _PATIENCE_SECONDS[engine]


def poll_seconds(engine: str) -> float:
    """Return how often to look whether it does: workers that load need the processor themselves."""
    return _POLL_SECONDS[engine]


def visible_gpus(engine: str) -> tuple[str, ...]:
    """Return the GPUs of this machine that replicas of *engine* share, as CUDA names them."""
    if engine != VLLM:
        return ()
    from workers.vllm.check import Machine, find_device

    machine = Machine.here()
    if find_device(machine).is_cpu:
        return ()
    named = os.environ.get("CUDA_VISIBLE_DEVICES", "")
    names = [name.strip() for name in named.split(",")] if named else map(str, range(machine.gpus))
    return tuple(names)[: machine.gpus]


def check_engine(choices: "Choices", machine: "Machine | None" = None) -> None:
    """Raise ConfigError, in one line, for what its engine would not start with on *machine*."""
    if choices.engine == VLLM:
        _check_vllm(choices, machine)
    else:
        _check_simulated(choices)


def _check_vllm(choices: "Choices", machine: "Machine | None") -> None:
    from workers.vllm.arguments import parse, parser
    from workers.vllm.check import Machine, check, find_device

    here = machine or Machine.here()
    device = find_device(here)
    own, _ = _of_worker(choices)
    for role in choices.replicas:
        common = _common(choices, role)
        _check_kept(parser().parse_args, [*common, *_engine_flags(choices, role)], own)
        settings = _told(partial(parse, [*common, *engine_arguments(choices, role)]))
        _check_engines(settings.data_parallel)
        check(settings, here)
        if device.is_cpu:
            _check_shared_memory(choices, here, partial(check, settings))
    if not device.is_cpu:
        _check_gpus(choices)


def _check_engines(count: int) -> None:
    if count > 1:
        raise ConfigError(
            f"-- --data-parallel-size {count}: a replica gets the GPUs of one engine",
            hint="start more replicas, as --decode 2",
        )


def _check_gpus(choices: "Choices") -> None:
    needed = sum(choices.parallelism[role].gpus * n for role, n in choices.replicas.items())
    if needed > len(choices.gpus):
        raise ConfigError(
            f"{choices.asked} of {_spread(choices.parallelism)}: these replicas need {needed} GPUs,"
            f" and there are {len(choices.gpus)}",
            hint="start fewer, or look at CUDA_VISIBLE_DEVICES",
        )


def _spread(parallelism: Mapping[Role, Parallelism]) -> str:
    kinds = {str(one) for one in parallelism.values()}
    if len(kinds) == 1:
        return kinds.pop()
    return ", ".join(f"{role}={one}" for role, one in parallelism.items())


def _check_shared_memory(
    choices: "Choices", machine: "Machine", check: Callable[["Machine"], object]
) -> None:
    """Raise ConfigError when the replicas do not fit in the memory that is free, side by side."""
    count = sum(choices.replicas.values())
    if machine.free_bytes is None:
        return
    try:
        check(replace(machine, free_bytes=machine.free_bytes // count))
    except ConfigError as error:
        raise ConfigError(
            f"{choices.asked}: {count} workers share the free memory; {error} for each",
            hint=error.hint,
        ) from None


def _check_simulated(choices: "Choices") -> None:
    if not choices.engine_arguments:
        return
    from workers.simulated.__main__ import parser

    ours = [*_common(choices, Role.DECODE), *_engine_flags(choices, Role.DECODE)]
    _check_kept(parser().parse_args, ours, choices.engine_arguments)


def _check_kept(
    parse: Callable[[Sequence[str]], Namespace], ours: Sequence[str], theirs: Sequence[str]
) -> None:
    """Raise ConfigError for what *parse* refuses, and where *theirs* change what *ours* say."""
    told, given = (vars(_told(partial(parse, words))) for words in (ours, [*ours, *theirs]))
    for flag in (word.partition("=")[0] for word in ours):
        name = flag.removeprefix("--").replace("-", "_")
        if told[name] != given[name]:
            raise ConfigError(f"-- {flag} is set by planner serve", hint="planner serve --help")


def _common(choices: "Choices", role: Role) -> list[str]:
    return [
        f"--role={role}",
        *_PLACEHOLDERS,
        f"--model={choices.model}",
        f"--model-name={choices.model_name}",
        f"--namespace={choices.namespace}",
        f"--drain-timeout={choices.drain}",
    ]


def _told(parse: Callable[[], _T]) -> _T:
    """Return what *parse* returns; what it would exit with is raised as ConfigError."""
    said = io.StringIO()
    try:
        with contextlib.redirect_stderr(said):
            return parse()
    except SystemExit:
        message = said.getvalue().removeprefix("error: ").strip()
        raise ConfigError(f"-- {message}", hint="planner serve --help") from None
