"""Layers of settings become the effective ones, and each value keeps its origin."""

from collections.abc import Mapping
from dataclasses import dataclass

from pydantic import ValidationError

from planner.config.layers import NAMES, Layer
from planner.config.settings import Settings
from planner.errors import ConfigError

DEFAULT = "default"


@dataclass(frozen=True, slots=True, kw_only=True)
class Effective:
    """The settings in force, and by name where each of them was set."""

    settings: Settings
    origins: Mapping[str, str]

    @property
    def rows(self) -> list[tuple[str, object, str]]:
        """Name, value as it is written, and origin of every setting."""
        values = self.settings.model_dump(mode="json")
        return [(name, values[name], self.origins[name]) for name in NAMES]


def settle(*layers: Layer) -> Effective:
    """Return the effective settings of *layers*, of which the later win.

    Raises ConfigError that names the place of the first value that cannot be used.
    """
    values: dict[str, object] = {}
    places: dict[str, str] = {}
    for layer in layers:
        values |= layer.values
        places |= layer.places
    try:
        settings = Settings.model_validate(values, context=places)
    except ValidationError as error:
        raise told(error, places) from None
    return Effective(settings=settings, origins=dict.fromkeys(NAMES, DEFAULT) | places)


def told(error: ValidationError, places: Mapping[str, str]) -> ConfigError:
    """Return what is wrong with the first value that *error* is about, at its place."""
    first = error.errors(include_url=False)[0]
    name = str(first["loc"][0])
    message = first["msg"][:1].lower() + first["msg"][1:]
    what = f"{places.get(name, name)} {first['input']}"
    return ConfigError(f"{what}: {message}", hint=Settings.model_fields[name].description)
