"""Which prompt prefixes an engine has cached, learned from its KV events.

vLLM's hashes stay what they are: a block is found by the one before it and its own tokens.
"""

from collections.abc import Hashable, Iterable
from typing import Any

import msgspec


class Stored(msgspec.Struct, frozen=True, tag="BlockStored"):
    """Blocks that follow one another, and the tokens of all of them."""

    block_hashes: list[Any]
    parent_block_hash: Any
    token_ids: list[int]
    block_size: int
    extra_keys: list[Any] | None = None
    group_idx: int | None = None


class Removed(msgspec.Struct, frozen=True, tag="BlockRemoved"):
    """Blocks that are gone."""

    block_hashes: list[Any]
    group_idx: int | None = None


class Cleared(msgspec.Struct, frozen=True, tag="AllBlocksCleared"):
    """Everything is gone."""


class Batch(msgspec.Struct, frozen=True, array_like=True):
    """What one step changed."""

    ts: float
    events: list[Stored | Removed | Cleared]


_decode = msgspec.msgpack.Decoder(Batch).decode


def read_batch(body: bytes) -> Batch:
    """Return the events in *body*; raises ValueError for what is none, or of an unknown kind."""
    return _decode(body)


class PrefixIndex:
    """Follows the blocks of one engine; without events it knows of none."""

    def __init__(self) -> None:
        self._next: dict[tuple[Hashable, tuple[int, ...]], Hashable] = {}
        self._places: dict[Hashable, tuple[Hashable, tuple[int, ...]]] = {}
        self._block_size = 0

    def cached(self, token_ids: list[int]) -> int:
        """Return how many tokens at the start of *token_ids* are in whole cached blocks."""
        size, found = self._block_size, 0
        if not size:
            return 0
        last: Hashable = None
        for start in range(0, len(token_ids) - size + 1, size):
            last = self._next.get((last, tuple(token_ids[start : start + size])))
            if last is None:
                break
            found = start + size
        return found

    def apply(self, events: Iterable[Stored | Removed | Cleared]) -> None:
        """Follow *events*. Of models with several kinds of KV cache the first one counts."""
        for event in events:
            match event:
                case Cleared():
                    self.clear()
                case Stored():
                    self._store(event)
                case Removed():
                    self._remove(event)

    def clear(self) -> None:
        """Forget everything: no block is known where events were missed."""
        self._next.clear()
        self._places.clear()

    def _store(self, event: Stored) -> None:
        if event.group_idx:
            return
        size = self._block_size = event.block_size
        last = event.parent_block_hash
        for number, block in enumerate(event.block_hashes):
            tokens = tuple(event.token_ids[number * size : (number + 1) * size])
            extra = event.extra_keys[number] if event.extra_keys else None
            if not extra:  # what else is in the hash (an adapter, an image) is in no plain prompt
                self._next[last, tokens] = block
                self._places[block] = last, tokens
            last = block

    def _remove(self, event: Removed) -> None:
        if event.group_idx:
            return
        for block in event.block_hashes:
            place = self._places.pop(block, None)
            if place is not None and self._next.get(place) == block:
                del self._next[place]
