"""How a worker tells the frontends which model it serves: one leased record per instance.

Written by the workers and watched by the frontends, which serve a model while one record exists.
"""

import re

import msgspec

from runtime.protocol import ModelCard

_NOT_IN_KEYS = re.compile(r"[^a-z0-9.]+")


class ModelEntry(ModelCard, kw_only=True, frozen=True, omit_defaults=True):
    """A model card and the endpoint that answers for it, as written to the store in JSON."""

    component: str
    endpoint: str


def model_entry(card: ModelCard, *, component: str, endpoint: str) -> ModelEntry:
    """Return the entry with which an instance of *component* registers *card*."""
    return ModelEntry(**msgspec.structs.asdict(card), component=component, endpoint=endpoint)


def models_prefix(namespace: str) -> str:
    """Return the prefix under which the store keeps what a namespace serves."""
    return f"models/{namespace}/"


def model_key(entry: ModelEntry, *, namespace: str, instance_id: int) -> str:
    """Return where the store keeps *entry*: ``models/{namespace}/{slug}/{component}:{id hex}``."""
    slug = _NOT_IN_KEYS.sub("-", entry.name.lower())
    return f"{models_prefix(namespace)}{slug}/{entry.component}:{instance_id:x}"


def instance_of(key: str) -> int:
    """Return the id of the instance that wrote *key*; ValueError when it is no model key."""
    return int(key.rpartition(":")[2], 16)


def encode_entry(entry: ModelEntry) -> bytes:
    """Return *entry* as the store keeps it."""
    return msgspec.json.encode(entry)


def decode_entry(value: bytes) -> ModelEntry:
    """Return the entry in *value*; msgspec.DecodeError when it is none."""
    return msgspec.json.decode(value, type=ModelEntry)
