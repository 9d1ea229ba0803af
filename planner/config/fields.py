"""How a setting is read from text and written again; one type for each kind of value.

Every reader gets the place of the value from the validation context, so that an error can name it:
``--interval``, ``PLANNER_INTERVAL`` or ``planner.toml: interval``.
"""

import re
from collections.abc import Callable, Mapping
from difflib import get_close_matches
from typing import Annotated, Any, TypeVar

from pydantic import PlainSerializer, PlainValidator, ValidationInfo, WithJsonSchema

from planner.core.profile import Parallelism
from planner.core.role import Role
from planner.core.sla import Sla
from planner.core.units import format_duration, format_share, parse_duration, parse_share
from planner.errors import ConfigError

T = TypeVar("T")

_LABEL = re.compile(r"[a-zA-Z_][a-zA-Z0-9_]*")


def place(info: ValidationInfo) -> str:
    """Return how an error calls the place of the value under validation."""
    places: Mapping[str, str] = info.context or {}
    name = str(info.field_name)
    return places.get(name, name)


def _correction(where: str) -> str:
    """Return the template of what could stand at the place *where* instead."""
    file, _, name = where.rpartition(": ")
    return f'{name} = "{{}}"' if file else f"{where} {{}}"


def read_duration(value: object, info: ValidationInfo) -> float | None:
    """Return seconds; raises ConfigError for a number without a unit."""
    if value is None:
        return None
    where = place(info)
    return parse_duration(str(value), what=f"{where} {value}", hint=_correction(where))


def read_share(value: object, info: ValidationInfo) -> float:
    """Return a share between 0 and 1 from "2%" or 0.02; raises ConfigError."""
    where = place(info)
    return parse_share(str(value), what=f"{where} {value}", hint=_correction(where))


def read_sla(value: object, info: ValidationInfo) -> Sla | None:
    """Return the SLA in ``ttft=200ms,itl=20ms``; raises ConfigError."""
    if value is None or isinstance(value, Sla):
        return value
    return Sla.parse(str(value), what=place(info))


def read_counts(value: object, info: ValidationInfo) -> Mapping[Role, int]:
    """Return replicas by role from ``decode=4,prefill=2`` or a table; raises ConfigError."""
    return _by_role(value, info, _count)


def read_parallelisms(value: object, info: ValidationInfo) -> Mapping[Role, Parallelism]:
    """Return parallelism by role from ``decode=tp2`` or a table; raises ConfigError."""
    return _by_role(value, info, _parallelism)


def read_words(value: object, info: ValidationInfo) -> tuple[str, ...]:
    """Return the words in ``one,two`` or a list; raises ConfigError for anything else."""
    if isinstance(value, str):
        return tuple(filter(None, (word.strip() for word in value.split(","))))
    if isinstance(value, list | tuple) and all(isinstance(word, str) for word in value):
        return tuple(value)
    raise ConfigError(f"{place(info)} {value}: not a list of words", hint='["one", "two"]')


def read_labels(value: object, info: ValidationInfo) -> Mapping[str, str]:
    """Return values by label from ``job=vllm,zone=a`` or a table; raises ConfigError."""
    where = place(info)
    pairs = value if isinstance(value, Mapping) else _pairs(str(value), where, of="label")
    return {_label(str(name), where): str(text) for name, text in pairs.items()}


def read_label(value: object, info: ValidationInfo) -> str | None:
    """Return the name of a label; raises ConfigError for what cannot be one."""
    return None if value is None else _label(str(value), place(info))


def _label(name: str, where: str) -> str:
    if not _LABEL.fullmatch(name) or name == "__name__":
        raise ConfigError(f"{where}: {name!r} is no name of a label", hint="instance, pod, job")
    return name


def _by_role(
    value: object, info: ValidationInfo, read: Callable[[object, str], T]
) -> Mapping[Role, T]:
    where = place(info)
    pairs = value if isinstance(value, Mapping) else _pairs(str(value), where)
    return {read_role(str(name), where): read(item, where) for name, item in pairs.items()}


def _pairs(text: str, where: str, *, of: str = "role") -> Mapping[str, str]:
    pairs = {}
    for part in filter(None, (part.strip() for part in text.split(","))):
        name, equals, item = part.partition("=")
        if not equals:
            example = "decode" if of == "role" else "job"
            raise ConfigError(
                f"{where} {text}: {part!r} names no {of}", hint=f"{where} {example}={part}"
            )
        pairs[name.strip()] = item.strip()
    return pairs


def read_role(name: str, where: str) -> Role:
    """Return the role *name*; raises ConfigError that names *where* it stood."""
    roles = [role.value for role in Role]
    if name not in roles:
        close = get_close_matches(name, roles, n=1)
        known = ", ".join(roles)
        hint = f"did you mean {close[0]}?" if close else f"roles: {known}"
        raise ConfigError(f"{where}: unknown role {name!r} (known: {known})", hint=hint)
    return Role(name)


def _count(value: object, where: str) -> int:
    text = str(value).strip()
    if isinstance(value, bool) or not text.isascii() or not text.isdigit():
        raise ConfigError(f"{where}: {text!r} is not a number of replicas, 0 or more", hint="1")
    return int(text)


def _parallelism(value: object, where: str) -> Parallelism:
    if isinstance(value, Parallelism):
        return value
    try:
        return Parallelism.parse(str(value))
    except ConfigError as error:
        raise ConfigError(f"{where}: {error}", hint=error.hint) from None


def _written(value: Mapping[Role, Any]) -> dict[str, Any]:
    return {
        role.value: item if isinstance(item, int) else str(item) for role, item in value.items()
    }


def _text(write: Callable[[Any], str]) -> PlainSerializer:
    return PlainSerializer(lambda value: None if value is None else write(value))


_STRING = {"type": "string"}
_TABLE = {"type": "object", "propertyNames": {"enum": list(Role)}}

Duration = Annotated[
    float, PlainValidator(read_duration), _text(format_duration), WithJsonSchema(_STRING)
]
OptionalDuration = Annotated[
    float | None, PlainValidator(read_duration), _text(format_duration), WithJsonSchema(_STRING)
]
Share = Annotated[float, PlainValidator(read_share), _text(format_share), WithJsonSchema(_STRING)]
SlaText = Annotated[Sla | None, PlainValidator(read_sla), _text(str), WithJsonSchema(_STRING)]
Words = Annotated[
    tuple[str, ...],
    PlainValidator(read_words),
    PlainSerializer(list),
    WithJsonSchema({"type": "array", "items": _STRING}),
]
Labels = Annotated[
    Mapping[str, str],
    PlainValidator(read_labels),
    PlainSerializer(dict),
    WithJsonSchema({"type": "object", "additionalProperties": _STRING}),
]
LabelName = Annotated[str | None, PlainValidator(read_label), WithJsonSchema(_STRING)]
Counts = Annotated[
    Mapping[Role, int],
    PlainValidator(read_counts),
    PlainSerializer(_written),
    WithJsonSchema(_TABLE | {"additionalProperties": {"type": "integer", "minimum": 0}}),
]
Parallelisms = Annotated[
    Mapping[Role, Parallelism],
    PlainValidator(read_parallelisms),
    PlainSerializer(_written),
    WithJsonSchema(_TABLE | {"additionalProperties": _STRING}),
]
