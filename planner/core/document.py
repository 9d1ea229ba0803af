"""Checked access to a JSON object: every wrong value is named by its path, its value and its limit.

Profiles are read through it.
"""

from collections.abc import Iterator, Mapping
from difflib import get_close_matches
from math import inf, isfinite
from typing import TypeGuard

from planner.errors import PlannerError


class Document:
    """A JSON object that remembers its *path*, so that errors can say it.

    *source* is what the path starts from (a file or a name), *error* the class that is raised.
    """

    def __init__(
        self, value: object, *, source: str, error: type[PlannerError], path: str = ""
    ) -> None:
        self._source = source
        self._error = error
        self._path = path
        if not isinstance(value, Mapping):
            raise self.wrong("", f"{_shown(value)} is not an object")
        self._value: Mapping[str, object] = value

    def wrong(self, key: str, message: str, *, hint: str | None = None) -> PlannerError:
        """Return the error that says *message* about *key* ("" is this object itself)."""
        path = ".".join(filter(None, (self._path, key)))
        where = f"{self._source}: {path}" if path else self._source
        return self._error(f"{where}: {message}", hint=hint)

    def known(self, *keys: str) -> None:
        """Raise when there is a key other than *keys*, with the one that was probably meant."""
        for key in self._value:
            if key not in keys:
                close = get_close_matches(str(key), keys, n=1)
                hint = f"did you mean {close[0]}?" if close else f"known: {', '.join(keys)}"
                raise self.wrong(str(key), "unknown key", hint=hint)

    def text(self, key: str) -> str:
        """Return the non-empty string at *key*."""
        value = self._get(key)
        if not isinstance(value, str) or not value:
            raise self.wrong(key, f"{_shown(value)} is not a text")
        return value

    def texts(self, key: str) -> tuple[str, ...]:
        """Return the list of strings at *key*; a missing one is empty."""
        values = self._value.get(key, [])
        if not isinstance(values, list) or not all(isinstance(value, str) for value in values):
            raise self.wrong(key, f"{_shown(values)} is not a list of texts")
        return tuple(values)

    def number(self, key: str, *, least: float = 0.0, most: float = inf) -> float:
        """Return the number at *key*, between *least* and *most*."""
        value = self._get(key)
        if not _is_number(value):
            raise self.wrong(key, f"{_shown(value)} is not a number")
        if not least <= value <= most:
            limit = f"at least {least:g}" if value < least else f"at most {most:g}"
            raise self.wrong(key, f"{value:g} must be {limit}")
        return float(value)

    def optional_number(self, key: str, *, least: float = 0.0) -> float | None:
        """Return the number at *key*, or None where it is missing or null."""
        return None if self._value.get(key) is None else self.number(key, least=least)

    def integer(self, key: str, *, least: int = 0) -> int:
        """Return the whole number at *key*, of at least *least*."""
        value = self.number(key, least=least)
        if value != int(value):
            raise self.wrong(key, f"{value:g} is not a whole number")
        return int(value)

    def nested(self, key: str) -> "Document":
        """Return the object at *key*."""
        return self._child(self._get(key), key)

    def optional_nested(self, key: str) -> "Document | None":
        """Return the object at *key*, or None where it is missing or null."""
        return None if self._value.get(key) is None else self.nested(key)

    def nested_list(self, key: str) -> Iterator["Document"]:
        """Yield the objects of the list at *key*."""
        values = self._get(key)
        if not isinstance(values, list):
            raise self.wrong(key, f"{_shown(values)} is not a list")
        for index, value in enumerate(values):
            yield self._child(value, f"{key}[{index}]")

    def _child(self, value: object, key: str) -> "Document":
        path = ".".join(filter(None, (self._path, key)))
        return Document(value, source=self._source, error=self._error, path=path)

    def _get(self, key: str) -> object:
        if key not in self._value:
            raise self.wrong(key, "is missing")
        return self._value[key]


def _is_number(value: object) -> TypeGuard[float]:
    return isinstance(value, int | float) and not isinstance(value, bool) and isfinite(value)


def _shown(value: object) -> str:
    text = repr(value)
    return text if len(text) <= 40 else f"{text[:37]}..."
