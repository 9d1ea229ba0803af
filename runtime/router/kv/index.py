"""Which workers have which KV blocks, found by the hashes of a prompt."""

from collections.abc import Iterable, Mapping, Sequence

MOST_BLOCKS = 1 << 20
"""Of one worker: 16 million tokens in blocks of 16, in some 150 MB here."""


class PrefixIndex:
    """Blocks by name, each with the workers that have it.

    A name stands for all tokens up to the block's end, so the chain of a prompt's names is a path
    of the tree of all prompts. Each worker is one bit, and a path is followed with one look a block
    whatever the number of workers.
    """

    def __init__(self, *, most_blocks: int = MOST_BLOCKS) -> None:
        self._most_blocks = most_blocks
        self._holders: dict[int, int] = {}
        self._blocks: dict[int, set[int]] = {}
        self._bits: dict[int, int] = {}
        self._workers: dict[int, int] = {}
        """By bit."""

    def __len__(self) -> int:
        """Return how many different blocks are known."""
        return len(self._holders)

    def size(self, worker: int) -> int:
        """Return how many blocks *worker* is known to have."""
        return len(self._blocks.get(worker, ()))

    def store(self, worker: int, blocks: Iterable[int]) -> None:
        """Take note that *worker* has *blocks*; those beyond the most are not noted."""
        held = self._blocks.get(worker)
        if held is None:
            held = self._enter(worker)
        bit, holders = self._bits[worker], self._holders
        for block in blocks:
            if len(held) >= self._most_blocks:
                return
            held.add(block)
            holders[block] = holders.get(block, 0) | bit

    def remove(self, worker: int, blocks: Iterable[int]) -> None:
        """Take note that *worker* has *blocks* no more; unknown ones are fine."""
        held = self._blocks.get(worker)
        if held is None:
            return
        bit, holders = self._bits[worker], self._holders
        for block in blocks:
            if block not in held:
                continue
            held.remove(block)
            left = holders[block] & ~bit
            if left:
                holders[block] = left
            else:
                del holders[block]

    def drop(self, worker: int) -> None:
        """Forget all of *worker*; one that is not known is fine."""
        if worker in self._blocks:
            self.remove(worker, tuple(self._blocks[worker]))
            del self._blocks[worker]
            del self._workers[self._bits.pop(worker)]

    def match(self, blocks: Sequence[int]) -> Mapping[int, int]:
        """Return how many of *blocks*, from the first on, each worker has; those with none not."""
        found: dict[int, int] = {}
        left = sum(self._workers)
        for place, block in enumerate(blocks):
            still = left & self._holders.get(block, 0)
            if still != left:
                self._end(found, left & ~still, place)
                left = still
                if not left:
                    break
        self._end(found, left, len(blocks))
        return found

    def _end(self, found: dict[int, int], bits: int, place: int) -> None:
        """Note in *found* the workers of *bits*, whose part of the path ends at *place*."""
        while bits and place:
            bit = bits & -bits
            found[self._workers[bit]] = place
            bits ^= bit

    def _enter(self, worker: int) -> set[int]:
        bit = 1
        while bit in self._workers:
            bit <<= 1
        self._bits[worker], self._workers[bit] = bit, worker
        held: set[int] = set()
        self._blocks[worker] = held
        return held
