"""The KV blocks that one engine has cached, and what of that has not been told yet."""

from collections.abc import Callable, Iterable

from runtime.kv_events.messages import Cleared, Event, Removed, Stored

PART_BLOCKS = 16_384
"""Blocks of one event at most: a message of it stays far below the 1 MiB that NATS takes."""


class BlockLedger:
    """Written by the engine, read by its publisher; *block_size* is tokens, and may be set later.

    What changes is kept to be told from the first `everything` on: before it nobody listens.
    """

    def __init__(self, block_size: int = 0) -> None:
        self.block_size = block_size
        self.on_change: Callable[[], None] = _ignore
        self._blocks: dict[int, None] = {}
        self._is_read = False
        self._is_cleared = False
        self._changed: dict[int, bool] = {}
        """Whether a block that came or went since the last `news` is there now."""

    def __contains__(self, block: int) -> bool:
        """Return whether *block* is there."""
        return block in self._blocks

    def __len__(self) -> int:
        """Return how many blocks there are."""
        return len(self._blocks)

    def store(self, blocks: Iterable[int]) -> None:
        """Take note of *blocks* that are there from now on."""
        for block in blocks:
            self._blocks[block] = None
            self._note(block, is_there=True)

    def remove(self, blocks: Iterable[int]) -> None:
        """Take note of *blocks* that are gone; unknown ones are fine."""
        for block in blocks:
            if block in self._blocks:
                del self._blocks[block]
                self._note(block, is_there=False)

    def clear(self) -> None:
        """Take note that nothing is left."""
        self._blocks.clear()
        self._changed.clear()
        self._is_cleared = self._is_read
        self.on_change()

    def news(self) -> list[Event]:
        """Return what has changed since it was asked last."""
        gone = [block for block, is_there in self._changed.items() if not is_there]
        new = [block for block, is_there in self._changed.items() if is_there]
        cleared: list[Event] = [Cleared()] if self._is_cleared else []
        self._changed.clear()
        self._is_cleared = False
        return [*cleared, *_parts(Removed, gone), *_parts(Stored, new)]

    def everything(self) -> list[Event]:
        """Return events that say all that is there to somebody who knows nothing."""
        self._is_read = True
        return [Cleared(), *_parts(Stored, list(self._blocks))]

    def _note(self, block: int, *, is_there: bool) -> None:
        if self._is_read:
            self._changed[block] = is_there
            self.on_change()


def _parts(kind: type[Stored | Removed], blocks: list[int]) -> list[Event]:
    starts = range(0, len(blocks), PART_BLOCKS)
    return [kind(blocks[start : start + PART_BLOCKS]) for start in starts]


def _ignore() -> None:
    """Nobody follows."""
