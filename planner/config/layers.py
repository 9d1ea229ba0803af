"""Where settings come from; a later layer wins over an earlier one, value by value."""

import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from difflib import get_close_matches
from pathlib import Path

from planner.config.settings import Settings
from planner.errors import ConfigError

PREFIX = "PLANNER_"
NAMES = tuple(Settings.model_fields)


@dataclass(frozen=True, slots=True, kw_only=True)
class Layer:
    """Raw values by setting, and how an error calls each one's place."""

    values: Mapping[str, object]
    places: Mapping[str, str]


def from_deployment(values: Mapping[str, object], *, path: Path) -> Layer:
    """Return what is known from the running deployment described in *path*."""
    known = {name: value for name, value in values.items() if value is not None}
    return Layer(values=known, places=dict.fromkeys(known, f"deployment {path}"))


def from_file(path: Path) -> Layer:
    """Return the settings in a TOML file; raises ConfigError, with a suggestion for a typo."""
    try:
        values = tomllib.loads(path.read_text(encoding="utf-8"))
    except tomllib.TOMLDecodeError as error:
        raise ConfigError(f"{path}: not TOML: {error}", hint='write interval = "5s"') from None
    except (OSError, UnicodeDecodeError) as error:
        reason = error.strerror if isinstance(error, OSError) else "not UTF-8 text"
        raise ConfigError(f"{path}: {reason}", hint="--config FILE") from None
    for name in values:
        check_known(name, where=f"{path}: {name}")
    return Layer(values=values, places={name: f"{path}: {name}" for name in values})


def from_environment(environment: Mapping[str, str]) -> Layer:
    """Return the settings in ``PLANNER_*`` variables; raises ConfigError for what looks misspelt.

    Other programs of the deployment have variables of that prefix too, so those that resemble no
    setting are left to them.
    """
    values = {}
    for variable, text in environment.items():
        name = variable.removeprefix(PREFIX).lower()
        if not variable.startswith(PREFIX) or not text:
            continue
        if name in NAMES:
            values[name] = text
        elif close := get_close_matches(name, NAMES, n=1, cutoff=0.85):
            raise ConfigError(
                f"{variable}: unknown setting",
                hint=f"did you mean {PREFIX}{close[0].upper()}?",
            )
    return Layer(values=values, places={name: f"{PREFIX}{name.upper()}" for name in values})


def from_flags(values: Mapping[str, object]) -> Layer:
    """Return the settings given as flags; None and empty ones were not given."""
    given = {n: v for n, v in values.items() if v is not None and v is not False and v != ()}
    texts = {n: ",".join(map(str, v)) if isinstance(v, tuple) else v for n, v in given.items()}
    return Layer(values=texts, places={name: f"--{name.replace('_', '-')}" for name in texts})


def check_known(name: str, *, where: str) -> None:
    """Raise ConfigError, with the nearest setting, for a *name* that is none."""
    if name in NAMES:
        return
    close = get_close_matches(name.replace("-", "_"), NAMES, n=1)
    hint = f"did you mean {close[0]}?" if close else f"settings: {', '.join(NAMES)}"
    raise ConfigError(f"{where}: unknown setting", hint=hint)
