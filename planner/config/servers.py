"""The settings that name servers: their URLs by role, as text or as a table, or a single one."""

import re
from collections.abc import Iterator, Mapping
from typing import Annotated
from urllib.parse import urlsplit

from pydantic import PlainSerializer, PlainValidator, ValidationInfo, WithJsonSchema

from planner.config.fields import place, read_role
from planner.core.role import Role
from planner.errors import ConfigError

_NAMED = re.compile(r"\s*(?P<role>[^=:/]*)=(?P<url>.*)")
_EXAMPLE = "aggregated=http://127.0.0.1:8000"


def read_servers(value: object, info: ValidationInfo) -> Mapping[Role, tuple[str, ...]]:
    """Return URLs by role from ``decode=http://h1:8000,http://h2:8000`` or a table.

    Raises ConfigError for what is no URL, a server named twice, and roles that do not go together.
    """
    where = place(info)
    pairs = list(_table(value, where) if isinstance(value, Mapping) else _pairs(str(value), where))
    found: dict[Role, tuple[str, ...]] = {}
    seen: set[str] = set()
    for name, text in pairs:
        role, url = read_role(name, where), _url(text, where)
        if url in seen:
            raise ConfigError(f"{where}: {url} is named twice", hint="name each server once")
        seen.add(url)
        found[role] = (*found.get(role, ()), url)
    if Role.AGGREGATED in found and len(found) > 1:
        others = " and ".join(sorted(found.keys() - {Role.AGGREGATED}))
        raise ConfigError(
            f"{where}: aggregated and {others} servers do not make one deployment",
            hint="run one planner for each deployment",
        )
    return found


def read_url(value: object, info: ValidationInfo) -> str | None:
    """Return the URL of a server; raises ConfigError for what is none, or holds a password."""
    if value is None:
        return None
    where = place(info)
    url = _url(str(value), where)
    if "@" in urlsplit(url).netloc:
        host = urlsplit(url).netloc.rpartition("@")[2]
        raise ConfigError(
            f"{where}: the URL of {host} holds a user name or a password",
            hint="prometheus_user and prometheus_password_file",
        )
    return url


def _pairs(text: str, where: str) -> Iterator[tuple[str, str]]:
    role = None
    for part in filter(None, (part.strip() for part in text.split(","))):
        named = _NAMED.fullmatch(part)
        if named is not None:
            role = named["role"].strip()
        if role is None:
            raise ConfigError(f"{where} {text}: {part!r} names no role", hint=f"{where} {_EXAMPLE}")
        yield role, named["url"] if named is not None else part


def _table(value: Mapping[object, object], where: str) -> Iterator[tuple[str, str]]:
    for name, urls in value.items():
        if not isinstance(urls, list | tuple):
            raise ConfigError(
                f"{where}.{name} {urls}: not a list of URLs", hint=f'{name} = ["http://h1:8000"]'
            )
        yield from ((str(name), str(url)) for url in urls)


def _url(text: str, where: str) -> str:
    url = text.strip().rstrip("/")
    try:
        parts = urlsplit(url)
        port = parts.port  # raises ValueError for one out of range
    except ValueError as error:
        raise ConfigError(f"{where} {url}: {error}", hint=f"{where} {_EXAMPLE}") from None
    if parts.scheme not in {"http", "https"} or not parts.hostname or re.search(r"[\s?#]", url):
        raise ConfigError(
            f"{where}: {url!r} is not a URL of a server, http://HOST:PORT",
            hint=f"{where} {_EXAMPLE}",
        )
    if port == 0:
        raise ConfigError(f"{where} {url}: no server has port 0", hint=f"{where} {_EXAMPLE}")
    return url


def _written(value: Mapping[Role, tuple[str, ...]]) -> dict[str, list[str]]:
    return {role.value: list(urls) for role, urls in value.items()}


OptionalUrl = Annotated[str | None, PlainValidator(read_url), WithJsonSchema({"type": "string"})]
ServerUrls = Annotated[
    Mapping[Role, tuple[str, ...]],
    PlainValidator(read_servers),
    PlainSerializer(_written),
    WithJsonSchema(
        {
            "type": "object",
            "propertyNames": {"enum": list(Role)},
            "additionalProperties": {"type": "array", "items": {"type": "string"}},
        }
    ),
]
