"""The request handler of every serving worker, decode and aggregated, whatever its engine."""

import asyncio
import secrets
from collections.abc import AsyncIterator, Callable, Coroutine
from contextlib import aclosing
from typing import Any

from msgspec.structs import replace

from runtime.context import Context
from runtime.protocol import GenerateRequest, TokenDelta
from workers.engine import Engine

Route = Callable[[GenerateRequest, Engine], Coroutine[Any, Any, GenerateRequest]]
"""Returns a request with the KV of its prompt made elsewhere, or as it came."""


class Serving:
    """Passes requests to the engine and what they hold back to it, however they end.

    *route* decides where a prompt is prefilled; None does everything here.
    """

    def __init__(
        self, engine: Engine, *, route: Route | None, count_local: Callable[[], None]
    ) -> None:
        self._engine = engine
        self._route = route
        self._count_local = count_local
        self._active: set[str] = set()
        self._aborts: set[asyncio.Task[None]] = set()

    async def generate(
        self, request: GenerateRequest, context: Context
    ) -> AsyncIterator[TokenDelta]:
        """Yield the response; ends early, without a finish reason, when it is stopped."""
        request = self._distinct(request)
        self._active.add(request.request_id)
        unfollow = context.follow(lambda: self._stop(request.request_id), _ignore)
        try:
            routed = await self._routed(request, context)
            if routed is None:
                return
            if context.is_stopped:  # before the engine knew the request, so nothing was aborted
                await self._forgo(routed)
                return
            is_remote: bool | None = self._count(routed)
            async with aclosing(self._engine.generate(routed)) as deltas:
                async for delta in deltas:
                    yield delta if is_remote is None else replace(delta, remote_prefill=is_remote)
                    is_remote = None  # said once, with the first
        finally:
            unfollow()
            self._active.discard(request.request_id)
            await self._engine.abort(request.request_id)

    async def close(self) -> None:
        """Wait for the requests that are being stopped."""
        await asyncio.gather(*self._aborts)

    def _distinct(self, request: GenerateRequest) -> GenerateRequest:
        """Return *request* with an id of its own: one that migrates may come back in no time."""
        if request.request_id not in self._active:
            return request
        return replace(request, request_id=f"{request.request_id}-{secrets.token_hex(4)}")

    def _stop(self, request_id: str) -> None:
        abort = asyncio.create_task(self._engine.abort(request_id))
        self._aborts.add(abort)
        abort.add_done_callback(self._aborts.discard)

    async def _routed(self, request: GenerateRequest, context: Context) -> GenerateRequest | None:
        """Return the request as the engine is to have it, or None when it was stopped."""
        if self._route is None:
            return request
        routing = asyncio.create_task(self._route(request, self._engine))
        unfollow = context.follow(lambda: _cancel(routing), _ignore)
        try:
            await asyncio.wait({routing})
            return None if routing.cancelled() else routing.result()
        finally:
            unfollow()
            routing.cancel()
            await asyncio.wait({routing})

    async def _forgo(self, request: GenerateRequest) -> None:
        """Let go of the KV that was made elsewhere for *request*, if it was."""
        if request.transfer is not None:
            await self._engine.release(request.transfer)

    def _count(self, request: GenerateRequest) -> bool:
        """Return whether the prompt was prefilled elsewhere, and count it if not."""
        is_remote = request.transfer is not None
        if not is_remote:
            self._count_local()
        return is_remote


def _cancel(task: asyncio.Task[GenerateRequest]) -> None:
    task.cancel()


def _ignore() -> None:
    """A kill cancels the handler itself."""
