"""Values of the core as plain data and back: what the journal stores and ``-o json`` prints.

The types are the schema: a field added with a default still decodes from data written before it.
"""

import types
from collections.abc import Mapping, Sequence
from dataclasses import fields, is_dataclass
from enum import Enum
from functools import cache
from typing import Any, TypeVar, Union, cast, get_args, get_origin, get_type_hints

T = TypeVar("T")
Plain = None | bool | int | float | str | list["Plain"] | dict[str, "Plain"]


def encoded(value: object) -> Plain:
    """Return *value* as dicts, lists, strings, numbers and None.

    Takes dataclasses, enums, mappings, sequences, text and numbers (numpy's too); raises
    TypeError for anything else.
    """
    if isinstance(value, Enum):
        return encoded(value.value)
    if value is None or isinstance(value, bool | str | int | float):
        return value
    if is_dataclass(value) and not isinstance(value, type):
        return {f.name: encoded(getattr(value, f.name)) for f in fields(value)}
    if isinstance(value, Mapping):
        return {str(encoded(key)): encoded(item) for key, item in value.items()}
    if isinstance(value, Sequence):
        return [encoded(item) for item in value]
    if hasattr(value, "tolist"):  # numpy scalars and arrays
        return cast("Plain", value.tolist())
    raise TypeError(f"{type(value).__name__} has no plain form")


def decoded(kind: type[T], plain: object) -> T:
    """Return the *kind* that `encoded` turned into *plain*; raises ValueError if it cannot be."""
    try:
        return cast("T", _decoded(kind, plain))
    except (TypeError, KeyError, AttributeError) as error:
        raise ValueError(f"not a {kind.__name__}: {error}") from error


def _decoded(kind: Any, plain: Any) -> Any:
    origin = get_origin(kind)
    if origin in (Union, types.UnionType):
        return _optional(kind, plain)
    if origin is tuple:
        return _tuple(get_args(kind), plain)
    if isinstance(origin, type) and issubclass(origin, Mapping):
        key, item = get_args(kind)
        return {_decoded(key, k): _decoded(item, v) for k, v in plain.items()}
    if isinstance(origin, type) and issubclass(origin, Sequence):
        return tuple(_decoded(get_args(kind)[0], item) for item in plain)
    if is_dataclass(kind):
        return _dataclass(kind, plain)
    return _scalar(kind, plain)


def _scalar(kind: Any, plain: Any) -> Any:
    if isinstance(kind, type) and issubclass(kind, Enum):
        return kind(plain)
    if kind is float and isinstance(plain, int) and not isinstance(plain, bool):
        return float(plain)
    if not isinstance(plain, kind):
        raise TypeError(f"{plain!r} is not a {kind.__name__}")
    return plain


def _optional(kind: Any, plain: Any) -> Any:
    if plain is None and type(None) in get_args(kind):
        return None
    problems = []
    for choice in get_args(kind):
        if choice is type(None):
            continue
        try:
            return _decoded(choice, plain)
        except (TypeError, ValueError, KeyError, AttributeError) as error:
            problems.append(str(error))
    raise TypeError("; ".join(problems) or f"{plain!r} is not None")


def _tuple(items: tuple[Any, ...], plain: Any) -> tuple[Any, ...]:
    if len(items) == 2 and items[1] is Ellipsis:
        return tuple(_decoded(items[0], item) for item in plain)
    return tuple(_decoded(kind, item) for kind, item in zip(items, plain, strict=True))


def _dataclass(kind: Any, plain: Any) -> Any:
    hints = _hints(kind)
    unknown = set(plain) - set(hints)
    if unknown:
        raise TypeError(f"unknown field {min(unknown)!r} of {kind.__name__}")
    return kind(**{name: _decoded(hints[name], item) for name, item in plain.items()})


@cache
def _hints(kind: Any) -> dict[str, Any]:
    return {f.name: get_type_hints(kind)[f.name] for f in fields(kind) if f.init}
