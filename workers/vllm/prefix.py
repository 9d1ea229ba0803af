"""Which prompt prefixes an engine has cached, learned from its KV events.

vLLM's hashes stay its own: a block is named by the tokens in and before it, as events tell them.
"""

from collections.abc import Hashable, Iterable
from typing import Any

import msgspec

from runtime.kv_events.blocks import next_block_hash
from runtime.kv_events.ledger import BlockLedger


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
    """Follows the blocks of one engine; without events it knows of none.

    *ledger* holds them by the names that routers know too.
    """

    def __init__(self) -> None:
        self.ledger = BlockLedger()
        self._names: dict[Hashable, int] = {}
        """By the engine's own hashes."""

    def cached(self, token_ids: list[int]) -> int:
        """Return how many tokens at the start of *token_ids* are in whole cached blocks."""
        size, found = self.ledger.block_size, 0
        if not size:
            return 0
        name: int | None = None
        for start in range(0, len(token_ids) - size + 1, size):
            name = next_block_hash(name, token_ids[start : start + size])
            if name not in self.ledger:
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
        self._names.clear()
        self.ledger.clear()

    def _store(self, event: Stored) -> None:
        """Note blocks whose beginning is known: no prompt reaches the others."""
        if event.group_idx:
            return
        size = self.ledger.block_size = event.block_size
        name = self._names.get(event.parent_block_hash)
        if name is None and event.parent_block_hash is not None:
            return
        for number, block in enumerate(event.block_hashes):
            if event.extra_keys and event.extra_keys[number]:
                return  # what else is in the hash (an adapter, an image) is in no plain prompt
            tokens = event.token_ids[number * size : (number + 1) * size]
            name = self._names[block] = next_block_hash(name, tokens)
            self.ledger.store((name,))

    def _remove(self, event: Removed) -> None:
        if event.group_idx:
            return
        names = (self._names.pop(block, None) for block in event.block_hashes)
        self.ledger.remove(name for name in names if name is not None)
