"""What a stored measurement is found by, and what a store is."""

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Protocol

from planner.core.encoding import Plain, encoded
from planner.core.profile import Parallelism
from profiler.effort import Effort
from profiler.record import Ask, PointRecord, StartRecord, TransferRecord

Record = PointRecord | StartRecord | TransferRecord

_FORMAT = 1
_DIGITS = 16


@dataclass(frozen=True, slots=True, kw_only=True)
class Key:
    """Everything that a measurement depends on, in plain form, under a *label* for people."""

    label: str
    inputs: Mapping[str, Plain]

    @property
    def digest(self) -> str:
        """A hash of the inputs: the same measurement has the same, any other another."""
        text = json.dumps(self.inputs, sort_keys=True)
        return hashlib.sha256(text.encode()).hexdigest()[:_DIGITS]


class Store(Protocol):
    """Keeps records across runs of the profiler."""

    def get(self, key: Key) -> Record | None:
        """Return what was put under *key*, or None."""
        ...

    def put(self, key: Key, record: Record) -> None:
        """Keep *record*: afterwards `get` returns it, whatever happens to this process."""
        ...


def start_key(identity: Mapping[str, str], parallelism: Parallelism) -> Key:
    """Return the key of how an engine started."""
    return Key(label=f"{parallelism}-start", inputs=_inputs(identity, parallelism, "start"))


def transfer_key(identity: Mapping[str, str], parallelism: Parallelism, *, isl: int) -> Key:
    """Return the key of how fast KV moves between two engines, in prompts of *isl* tokens."""
    inputs = _inputs(identity, parallelism, f"transfer isl={isl}")
    return Key(label=f"{parallelism}-transfer", inputs=inputs)


def point_key(
    identity: Mapping[str, str], parallelism: Parallelism, ask: Ask, *, effort: Effort
) -> Key:
    """Return the key of a point: also by how thoroughly it is measured."""
    thoroughness = {
        "first_passes": effort.first_passes,
        "least_repeats": effort.least_repeats,
        "most_repeats": effort.most_repeats,
        "confidence": effort.confidence,
    }
    inputs = _inputs(identity, parallelism, str(ask))
    return Key(
        label=f"{parallelism}-{ask}".replace(" ", "-").replace("=", ""),
        inputs={**inputs, "effort": encoded(thoroughness)},
    )


def _inputs(identity: Mapping[str, str], parallelism: Parallelism, what: str) -> dict[str, Plain]:
    return {
        "format": _FORMAT,
        "identity": encoded(identity),
        "parallelism": str(parallelism),
        "what": what,
    }
