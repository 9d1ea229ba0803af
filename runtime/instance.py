"""The record by which an instance of an endpoint is found, and the names it is made of."""

import re
import secrets
from collections.abc import Mapping
from enum import StrEnum
from typing import Any

import msgspec

from runtime.errors import InvalidRequest

_NAME = re.compile(r"[A-Za-z0-9_-]{1,64}")
_ID_BITS = 48  # every JSON reader keeps 53 bits; 48 never collide in a fleet and print as 12 digits


class InstanceState(StrEnum):
    """Whether an instance takes requests: only one that is ready does."""

    READY = "ready"
    SLEEPING = "sleeping"
    """It has given its memory back and can be woken."""
    DRAINING = "draining"


class InstanceRecord(msgspec.Struct, kw_only=True, frozen=True):
    """One process that serves one endpoint, as written to the store in JSON."""

    namespace: str
    component: str
    endpoint: str
    instance_id: int
    subject: str
    state: InstanceState = InstanceState.READY
    metadata: Mapping[str, Any] = {}

    @property
    def key(self) -> str:
        """Return where the store keeps this record."""
        prefix = instance_prefix(self.namespace, self.component, self.endpoint)
        return f"{prefix}{self.instance_id:x}"

    @property
    def is_ready(self) -> bool:
        """Whether new requests may be sent to it."""
        return self.state is InstanceState.READY


def instance_prefix(namespace: str, component: str, endpoint: str) -> str:
    """Return the prefix under which the store keeps the instances of one endpoint."""
    return f"instances/{namespace}/{component}/{endpoint}:"


def instance_subject(namespace: str, component: str, endpoint: str, instance_id: int) -> str:
    """Return the subject on which one instance receives its requests."""
    return f"{namespace}.{component}.{endpoint}-{instance_id:x}"


def new_instance_id() -> int:
    """Return an id that no other instance has."""
    return secrets.randbits(_ID_BITS) or 1


def checked_name(kind: str, name: str) -> str:
    """Return *name*; InvalidRequest unless it fits a key and a subject alike."""
    if _NAME.fullmatch(name) is None:
        raise InvalidRequest(
            f"{kind} {name!r}: 1 to 64 letters, digits, dashes and underscores are allowed"
        )
    return name


def encode_record(record: InstanceRecord) -> bytes:
    """Return *record* as the store keeps it."""
    return msgspec.json.encode(record)


def decode_record(value: bytes) -> InstanceRecord:
    """Return the record in *value*; msgspec.DecodeError when it is none."""
    return msgspec.json.decode(value, type=InstanceRecord)
