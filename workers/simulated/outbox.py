"""The tokens of one request between the engine's loop and whoever reads them."""

import asyncio

from runtime.errors import RuntimeFault
from runtime.protocol import FinishReason, TokenDelta
from workers.simulated.sequence import Sequence


class Outbox:
    """Tokens that nobody fetched yet leave together, so a slow reader costs few wake-ups."""

    __slots__ = (
        "_arrived",
        "_failure",
        "_finish_reason",
        "_first",
        "_token_ids",
        "is_closed",
        "sequence",
    )

    def __init__(self, sequence: Sequence) -> None:
        self.sequence = sequence
        self.is_closed = False
        self._token_ids: list[int] = []
        self._finish_reason: FinishReason | None = None
        self._failure: str | None = None
        self._first = True
        self._arrived: asyncio.Future[None] | None = None

    def put(self, token_id: int, finish_reason: FinishReason | None) -> None:
        """Add the next token."""
        self._token_ids.append(token_id)
        self._finish_reason = finish_reason
        self.wake()

    def close(self, failure: str | None = None) -> None:
        """End the stream after what is in it, or with *failure* at once."""
        self.is_closed, self._failure = True, failure
        self.wake()

    def wake(self) -> None:
        """Let `wait` return."""
        if self._arrived is not None and not self._arrived.done():
            self._arrived.set_result(None)

    async def wait(self) -> None:
        """Return at the next change."""
        self._arrived = asyncio.get_running_loop().create_future()
        await self._arrived

    async def fetch(self) -> TokenDelta | None:
        """Return the tokens since the last call, or None after the end.

        Raises RuntimeFault when the engine failed.
        """
        while not self._token_ids and not self.is_closed:
            await self.wait()
        if self._failure is not None:
            raise RuntimeFault(self._failure)
        if not self._token_ids:
            return None
        token_ids, self._token_ids = self._token_ids, []
        cached = self.sequence.cached_tokens if self._first else None
        self._first = False
        return TokenDelta(
            token_ids=token_ids, finish_reason=self._finish_reason, cached_tokens=cached
        )
