"""What workers that tell nothing probably have: the prompts that were sent to them lately."""

from collections import OrderedDict
from collections.abc import Sequence

from runtime.router.kv.index import PrefixIndex

RECENT_SECONDS = 120.0
MOST_BLOCKS = 1 << 18
"""Of one worker: 4 million tokens in blocks of 16, more than one has room for."""


class RecentBlocks:
    """Writes into *index* what was sent to a worker, for *seconds* from the last time."""

    def __init__(
        self,
        index: PrefixIndex,
        *,
        seconds: float = RECENT_SECONDS,
        most_blocks: int = MOST_BLOCKS,
    ) -> None:
        self._index = index
        self._seconds = seconds
        self._most_blocks = most_blocks
        self._until: dict[int, OrderedDict[int, float]] = {}

    def sent(self, worker: int, blocks: Sequence[int], *, now: float) -> None:
        """Take note that *worker* gets a prompt of *blocks* at *now*."""
        self._index.store(worker, blocks)
        until = self._until.setdefault(worker, OrderedDict())
        for block in reversed(blocks):  # the beginning of a prompt goes last
            until[block] = now + self._seconds
            until.move_to_end(block)
        surplus = max(0, len(until) - self._most_blocks)
        self._index.remove(worker, [until.popitem(last=False)[0] for _ in range(surplus)])

    def expire(self, *, now: float) -> None:
        """Forget what was sent too long before *now*."""
        for worker, until in self._until.items():
            gone = []
            while until and next(iter(until.values())) <= now:
                gone.append(until.popitem(last=False)[0])
            if gone:
                self._index.remove(worker, gone)

    def forget(self, worker: int) -> None:
        """Forget *worker*, whose blocks in the index are somebody else's from now on."""
        self._until.pop(worker, None)
