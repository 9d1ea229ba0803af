"""How long KV blocks of another engine are awaited: vLLM itself waits for ever.

A transfer that breaks is noticed; one whose other side no longer runs is not.
"""

import asyncio
from collections.abc import AsyncGenerator, Callable

from workers.vllm.piece import Piece

LOOK_SECONDS = 0.25


class Late(Exception):
    """The first token is overdue."""


async def in_time(
    pieces: AsyncGenerator[Piece, None], *, seconds: float, is_held_up: Callable[[], bool]
) -> AsyncGenerator[Piece, None]:
    """Yield *pieces*. Raises Late if the first does not come within *seconds*, and ends them.

    The time in which *is_held_up* does not count.
    """
    first = asyncio.create_task(_first(pieces))
    try:
        while not first.done():
            if seconds <= 0:
                raise Late
            await asyncio.wait({first}, timeout=LOOK_SECONDS)
            seconds -= 0.0 if is_held_up() else LOOK_SECONDS
    finally:
        first.cancel()
        await asyncio.wait({first})
    piece = first.result()
    if piece is not None:
        yield piece
    async for piece in pieces:
        yield piece


async def _first(pieces: AsyncGenerator[Piece, None]) -> Piece | None:
    async for piece in pieces:
        return piece
    return None
