"""Work on engines of others, of which any error and any hanging is only a failed measurement."""

import asyncio
from collections.abc import Awaitable
from contextlib import AsyncExitStack
from typing import TypeVar

from profiler.ports import MeasuringFailed

T = TypeVar("T")


async def attempt(
    work: Awaitable[T], *, limit_seconds: float | None = None, what: str = "failed"
) -> T:
    """Return what *work* does within *limit_seconds*; whatever goes wrong is MeasuringFailed.

    A rig drives processes and servers of others: no error of theirs may end the sweep.
    """
    try:
        async with asyncio.timeout(limit_seconds) as limit:
            return await work
    except MeasuringFailed:
        raise
    except Exception as error:
        if limit.expired():
            raise MeasuringFailed(f"{what} within {limit_seconds:g} s") from None
        text = " ".join(str(error).split())
        raise MeasuringFailed(f"{what}: {type(error).__name__}: {text}".rstrip(": ")) from error


async def stopped(stack: AsyncExitStack, *, limit_seconds: float) -> str | None:
    """Leave what *stack* holds; return in one line what went wrong with that."""
    try:
        await attempt(stack.aclose(), limit_seconds=limit_seconds, what="did not stop")
    except MeasuringFailed as failure:
        return str(failure)
    return None
