"""What one worker has in hand, as the router that sent it knows."""

from bisect import bisect_left
from collections.abc import Sequence
from dataclasses import dataclass, field


@dataclass(slots=True)
class Load:
    """Prompt tokens still to be computed, and KV blocks in use. One that several share counts once.

    A block is in use only together with those before it, so what a prompt shares with those in hand
    is a beginning of it.
    """

    prefill_tokens: int = 0
    _users: dict[int, int] = field(default_factory=dict)
    _loose: int = 0
    """Last blocks that are not full, which nobody shares."""
    _requests: int = 0

    @property
    def is_idle(self) -> bool:
        """Whether nothing is in hand."""
        return not self._requests

    @property
    def blocks(self) -> int:
        """KV blocks in use."""
        return len(self._users) + self._loose

    def shared(self, blocks: Sequence[int]) -> int:
        """Return how many of *blocks*, from the first on, are in use."""
        return bisect_left(blocks, 1, key=lambda block: block not in self._users)

    def add(self, blocks: Sequence[int], *, is_loose: bool, prefill_tokens: int) -> None:
        """Take a request in hand: its full blocks, and whether one more is begun."""
        for block in blocks:
            self._users[block] = self._users.get(block, 0) + 1
        self._loose += is_loose
        self._requests += 1
        self.prefill_tokens += prefill_tokens

    def remove(self, blocks: Sequence[int], *, is_loose: bool, prefill_tokens: int) -> None:
        """Take it out again, with what is left of its *prefill_tokens*."""
        for block in blocks:
            self._users[block] -= 1
            if not self._users[block]:
                del self._users[block]
        self._loose -= is_loose
        self._requests -= 1
        self.prefill_tokens -= prefill_tokens
