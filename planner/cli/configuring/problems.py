"""What is wrong with a configuration: each value on its own, and those that must go together."""

import tomllib
from collections.abc import Callable, Iterator, Mapping
from functools import partial
from pathlib import Path

from planner.config import Layer, Settings, from_environment, from_file, policy, settle
from planner.config.fleet import read_fleet
from planner.config.layers import NAMES, check_known
from planner.core.policy import AGGREGATED, DISAGGREGATED
from planner.errors import ConfigError
from planner.profiles import load_profile

_FLEET = "roles"


def problems(path: Path, environment: Mapping[str, str]) -> list[ConfigError]:
    """Return everything that keeps the file *path*, under *environment*, from being used."""
    values = _read(path)
    if values is None:
        return list(_unread(path))
    if _FLEET in values:
        return list(_raised(lambda: read_fleet(path)))
    file = Layer(values=values, places={name: f"{path}: {name}" for name in values})
    found = [*_of(file), *_raised(lambda: from_environment(environment))]
    if found:
        return found
    variables = from_environment(environment)
    return list(_of(variables)) or list(_together(settle(file, variables).settings, path))


def _read(path: Path) -> Mapping[str, object] | None:
    """Return what is in *path*; None where it cannot be read at all."""
    try:
        return tomllib.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return None


def _unread(path: Path) -> Iterator[ConfigError]:
    if path.exists():
        yield from _raised(lambda: from_file(path))
    else:
        yield ConfigError(f"{path}: no such file", hint=f"planner config init {path}")


def _of(layer: Layer) -> Iterator[ConfigError]:
    for name, value in layer.values.items():
        where = layer.places[name]
        if name in NAMES:
            alone = Layer(values={name: value}, places={name: where})
            yield from _raised(partial(settle, alone))
        else:
            yield from _raised(partial(check_known, name, where=where))


def _together(settings: Settings, path: Path) -> Iterator[ConfigError]:
    """Yield what no single value tells: files that are named, and bounds that cross."""
    if settings.profile is not None:
        profile = settings.profile
        yield from _raised(lambda: load_profile(profile))
    if settings.fleet is not None:
        fleet = settings.fleet
        yield from _raised(lambda: read_fleet(fleet))
    if settings.sla is not None:
        named = settings.min.keys() | settings.max.keys() | settings.parallelism.keys()
        roles = named if AGGREGATED & named else DISAGGREGATED
        for error in _raised(lambda: policy(settings, roles)):
            yield ConfigError(f"{path}: {error}", hint=error.hint)


def _raised(check: Callable[[], object]) -> Iterator[ConfigError]:
    try:
        check()
    except ConfigError as error:
        yield error
