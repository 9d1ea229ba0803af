"""What workers tell routers about the KV blocks that their engines have, and where."""

from collections.abc import Sequence

import msgspec


class Stored(msgspec.Struct, frozen=True, tag="stored"):
    """Blocks that can be found from now on, by their `block_hashes`."""

    blocks: Sequence[int]


class Removed(msgspec.Struct, frozen=True, tag="removed"):
    """Blocks that are gone."""

    blocks: Sequence[int]


class Cleared(msgspec.Struct, frozen=True, tag="cleared"):
    """All blocks are gone."""


Event = Stored | Removed | Cleared


class KvNews(msgspec.Struct, kw_only=True, frozen=True, omit_defaults=True):
    """What has changed in one engine. *number* counts the messages of one *epoch* of the worker.

    A number that is missing is a message lost: what was known of the worker may be wrong then.
    *restated* events say again what is there, for those who missed something; they begin with
    Cleared, and whoever has missed nothing passes them over.
    """

    instance_id: int
    epoch: int
    number: int
    block_size: int
    events: Sequence[Event] = ()
    restated: bool = False


_encode = msgspec.msgpack.Encoder().encode
_decode = msgspec.msgpack.Decoder(KvNews).decode


def encode_news(news: KvNews) -> bytes:
    """Return *news* as it is published."""
    return _encode(news)


def decode_news(message: bytes) -> KvNews:
    """Return the news in *message*; msgspec.DecodeError when it is none."""
    return _decode(message)


def news_subject(namespace: str, component: str) -> str:
    """Return the subject on which all workers of a component publish their news."""
    return f"{namespace}.{component}.kv_events"


def restate_subject(namespace: str, component: str, instance_id: int) -> str:
    """Return the subject on which one worker is asked to tell again all that it has."""
    return f"{namespace}.{component}.kv_restate-{instance_id:x}"
