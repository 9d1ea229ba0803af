"""What the fleet knows of any simulated engine, and the KV memory that engines share out.

Step times are those of `planner.core.engine`, which simulated workers and sizing use as well.
"""

from collections.abc import Callable
from typing import Protocol

from planner.core.engine import EngineModel


class SimulatedEngine(Protocol):
    """One engine on the virtual clock."""

    is_closing: bool
    """Set when it drains: it takes nothing new."""
    on_empty: Callable[[], None]
    """Called whenever its last request has left."""

    @property
    def in_flight(self) -> int:
        """Requests that it has taken and not finished."""
        ...

    @property
    def running(self) -> int:
        """Requests in its batch."""
        ...

    @property
    def waiting(self) -> int:
        """Requests in line for its batch or its memory."""
        ...

    @property
    def waiting_tokens(self) -> int:
        """Prompt tokens that it has still to prefill."""
        ...

    @property
    def kv_usage(self) -> float:
        """Share of its KV cache that holds tokens, 0 to 1."""
        ...


def nobody_listens() -> None:
    """Do nothing: what an engine calls until the fleet listens to it."""


class KvMemory:
    """KV blocks of one engine. A request takes all that it will ever need when it is let in.

    Real engines let the sequence grow and preempt when memory runs out; taking everything at once
    holds back a little more and needs no preemption.
    """

    __slots__ = ("_block_size", "_capacity", "_free", "tokens")

    def __init__(self, model: EngineModel) -> None:
        self._free = model.kv_blocks
        self._block_size = model.limits.block_size
        self._capacity = self._free * self._block_size
        self.tokens = 0
        """Tokens that it holds now; engines count them as they come and go."""

    @property
    def usage(self) -> float:
        """Share of the memory that holds tokens, 0 to 1."""
        return self.tokens / self._capacity

    def fits_ever(self, tokens: int) -> bool:
        """Return whether *tokens* fit into the empty memory."""
        return tokens <= self._capacity

    def fits(self, tokens: int) -> bool:
        """Return whether *tokens* fit into what is free."""
        return -(-tokens // self._block_size) <= self._free

    def take(self, tokens: int) -> None:
        """Set room for *tokens* aside; `fits` has said yes."""
        self._free -= -(-tokens // self._block_size)

    def give_back(self, tokens: int) -> None:
        """Return what was taken for *tokens*."""
        self._free += -(-tokens // self._block_size)
