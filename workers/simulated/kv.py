"""Paged KV memory: blocks, who holds them, and the prefix cache over the free ones.

The scheduler takes and gives back blocks here; nothing else does.
"""

from collections import OrderedDict
from collections.abc import Iterable, Sequence
from itertools import count, islice

from runtime.kv_events.ledger import BlockLedger


class BlockPool:
    """A fixed number of blocks. A free block keeps its content until it is needed for other tokens.

    Blocks given back longest ago are reused first; of one sequence the last block goes first,
    because the beginning of a prompt is what others share. *ledger* is told what the cache has.
    """

    def __init__(self, total: int, *, ledger: BlockLedger | None = None) -> None:
        self.total = total
        self._ledger = BlockLedger() if ledger is None else ledger
        self._unused = count()
        self._touched = 0
        self._free: OrderedDict[int, None] = OrderedDict()
        self._holders: dict[int, int] = {}
        self._content: dict[int, int] = {}
        self._by_content: dict[int, int] = {}

    @property
    def free(self) -> int:
        """Blocks that nobody holds."""
        return self.total - len(self._holders)

    @property
    def used(self) -> int:
        """Blocks that sequences hold; one that several share counts once."""
        return len(self._holders)

    def match(self, hashes: Iterable[int]) -> list[int]:
        """Return the blocks that hold the longest known beginning of a chain of *hashes*."""
        blocks = []
        for content in hashes:
            block = self._by_content.get(content)
            if block is None:
                break
            blocks.append(block)
        return blocks

    def fits(self, fresh: int, shared: Sequence[int] = ()) -> bool:
        """Tell whether *fresh* blocks can be taken besides holding the *shared* ones."""
        revived = sum(block not in self._holders for block in shared)
        return fresh + revived <= self.free

    def hold(self, blocks: Sequence[int]) -> None:
        """Become one more holder of *blocks*, which `match` returned."""
        for block in blocks:
            holders = self._holders.get(block, 0)
            if not holders:
                del self._free[block]
            self._holders[block] = holders + 1

    def take(self, number: int) -> list[int]:
        """Return *number* blocks for new content; `fits` must have said yes."""
        fresh = min(number, self.total - self._touched)
        self._touched += fresh
        blocks = list(islice(self._unused, fresh))
        for _ in range(number - fresh):
            block, _ = self._free.popitem(last=False)
            self._forget(block)
            blocks.append(block)
        self._holders.update(dict.fromkeys(blocks, 1))
        return blocks

    def publish(self, block: int, content: int) -> None:
        """Let others find *block* by the hash of its *content*; the first of equal ones stays."""
        if content not in self._by_content:
            self._by_content[content] = block
            self._content[block] = content
            self._ledger.store((content,))

    def release(self, blocks: Sequence[int]) -> None:
        """Stop holding *blocks*, which are those of one sequence in order."""
        for block in reversed(blocks):
            holders = self._holders.pop(block) - 1
            if holders:
                self._holders[block] = holders
            else:
                self._free[block] = None

    def clear(self) -> None:
        """Forget the content of all blocks; nobody may hold any."""
        self._content.clear()
        self._by_content.clear()
        self._ledger.clear()

    def _forget(self, block: int) -> None:
        content = self._content.pop(block, None)
        if content is not None:
            del self._by_content[content]
            self._ledger.remove((content,))
