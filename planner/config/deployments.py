"""Several deployments in one file: a table for each, with the settings that are its own."""

import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from difflib import get_close_matches
from pathlib import Path

from pydantic import ValidationError

from planner.config.layers import check_known
from planner.config.settings import Settings
from planner.config.settle import told
from planner.errors import ConfigError

OTHERS = "*"
"""The table of every deployment that has none of its own."""
_OWN = frozenset({
    "sla", "profile", "parallelism", "mode", "interval", "cold_start", "stabilization", "max_age",
    "tolerance", "headroom", "forecaster", "min", "max", "max_gpus", "kv_usage", "waiting",
    "frontends", "pending", "drain", "observe", "engine", "model", "prometheus_labels",
})  # fmt: skip
_EXAMPLE = '[chat]\nsla = "ttft=500ms,itl=50ms"'


@dataclass(frozen=True, slots=True, kw_only=True)
class Deployments:
    """Settings of each deployment that a file has a table for; of `OTHERS` for all the others."""

    path: Path
    tables: Mapping[str, Settings]

    def settings(self, name: str, *, state: Path) -> Settings | None:
        """Return the settings of the deployment *name*; None if no table is for it.

        What it remembers is in a folder of its own inside *state*, called as it is.
        """
        found = self.tables.get(name, self.tables.get(OTHERS))
        if found is None:
            return None
        return found.model_copy(update={"deployment": name, "state_dir": state / name})

    @property
    def named(self) -> frozenset[str]:
        """The deployments with a table of their own."""
        return frozenset(self.tables) - {OTHERS}


def read_deployments(path: Path, settings: Settings) -> Deployments:
    """Return the deployments in the TOML file *path*: what a table leaves out is of *settings*.

    Raises ConfigError, with a suggestion for a typo.
    """
    try:
        tables = tomllib.loads(path.read_text(encoding="utf-8"))
    except tomllib.TOMLDecodeError as error:
        raise ConfigError(f"{path}: not TOML: {error}", hint=_EXAMPLE) from None
    except (OSError, UnicodeDecodeError) as error:
        reason = error.strerror if isinstance(error, OSError) else "not UTF-8 text"
        raise ConfigError(f"{path}: {reason}", hint="--deployments FILE") from None
    if not tables:
        raise ConfigError(f"{path}: no deployment", hint=_EXAMPLE)
    found = {name: _read(table, settings, f"{path}: {name}") for name, table in tables.items()}
    return Deployments(path=path, tables=found)


def _read(table: object, settings: Settings, where: str) -> Settings:
    if not isinstance(table, dict):
        raise ConfigError(f"{where}: not a table", hint=_EXAMPLE)
    places = {name: f"{where}.{name}" for name in table}
    for name, place in places.items():
        _check_own(name, place)
    try:
        own = Settings.model_validate(table, context=places)
    except ValidationError as error:
        raise told(error, places) from None
    return settings.model_copy(update={name: getattr(own, name) for name in table})


def _check_own(name: str, where: str) -> None:
    if name in _OWN:
        return
    check_known(name, where=where)
    close = get_close_matches(name, _OWN, n=1)
    hint = f"did you mean {close[0]}?" if close else "--config FILE has what is common to all"
    raise ConfigError(f"{where}: not a setting of a single deployment", hint=hint)
