"""Results as JSON knows them: the same from the library and from ``-o json``."""

import math
from collections.abc import Iterable, Mapping
from dataclasses import fields, is_dataclass
from typing import Any

from planner.core.sla import Sla

SCHEMA_VERSION = "1"
Document = dict[str, Any]


def versioned(document: Mapping[str, object]) -> Document:
    """Return *document* as plain data, led by its schema version."""
    return {"schema_version": SCHEMA_VERSION, **plain(document)}


def plain(value: object) -> Any:
    """Return *value* as what JSON knows: dataclasses become objects, non-finite numbers null."""
    if is_dataclass(value) and not isinstance(value, type):
        return {field.name: plain(getattr(value, field.name)) for field in fields(value)}
    if isinstance(value, Mapping):
        return {str(key): plain(item) for key, item in value.items()}
    if isinstance(value, str):
        return str(value)
    if isinstance(value, Iterable):
        return [plain(item) for item in value]
    if isinstance(value, float) and not math.isfinite(value):
        return None
    return value


def sla_document(sla: Sla) -> Document:
    """Return *sla* with its targets in milliseconds, None where one is not judged."""
    return {
        "ttft_ms": milliseconds(sla.ttft_seconds),
        "itl_ms": milliseconds(sla.itl_seconds),
        "attainment": sla.attainment,
    }


def milliseconds(seconds: float | None) -> float | None:
    """Return *seconds* in milliseconds, as exact as they were written."""
    return None if seconds is None else round(seconds * 1e3, 6)
