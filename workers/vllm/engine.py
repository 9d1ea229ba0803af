"""vLLM behind the `Engine` of workers: tokens in and out, transfers, statistics.

vLLM itself is behind `Llm`, so all of this is tried without it.
"""

import asyncio
import logging
from collections.abc import AsyncGenerator
from contextlib import aclosing
from typing import Any, Protocol

from msgspec.structs import replace

from runtime.errors import Cancelled, InvalidRequest, RuntimeFault
from runtime.protocol import FinishReason, GenerateRequest, TokenDelta
from workers.engine import EngineStats, Prefilled, check_extras
from workers.parts import Capacity
from workers.vllm.arrival import Late, in_time
from workers.vllm.piece import Piece
from workers.vllm.prefix import PrefixIndex
from workers.vllm.sampling import PREFILL, PRIORITY, is_usable, sampling_arguments
from workers.vllm.totals import Totals

log = logging.getLogger(__name__)

LOOK_SECONDS = 0.25
"""How often it is looked whether the engine's processes live."""

ABORTED = "abort"
_FINISHED = {
    "length": FinishReason.LENGTH,
    "stop": FinishReason.STOP,
    "repetition": FinishReason.STOP,
}


class Llm(Protocol):
    """A loaded vLLM engine."""

    @property
    def capacity(self) -> Capacity:
        """What it holds, and what it does in a step."""
        ...

    @property
    def is_failed(self) -> bool:
        """Whether a process of the engine has died."""
        ...

    def generate(
        self, request_id: str, token_ids: list[int], sampling: dict[str, Any], *, priority: int = 0
    ) -> AsyncGenerator[Piece, None]:
        """Yield pieces until one says why it finished; closing it aborts the request.

        Raises InvalidRequest, and StreamBroken when the engine has died.
        """
        ...

    async def abort(self, request_id: str) -> None:
        """End a request with the finish `ABORTED`; one that is not there is fine."""
        ...

    async def release(self, transfer: dict[str, Any]) -> None:
        """Let go of KV that was prefilled here or elsewhere and is not fetched.

        Raises RuntimeFault.
        """
        ...

    @property
    def why_awake(self) -> str | None:
        """Why it can never sleep, or None if it can."""
        ...

    async def sleep(self) -> None:
        """Move the weights to the host's memory and drop the KV cache. Raises RuntimeFault."""
        ...

    async def wake(self) -> None:
        """Bring both back; one that is awake is fine. Raises RuntimeFault."""
        ...

    def close(self) -> None:
        """End all processes of the engine; blocks for seconds."""
        ...


class Loading(Protocol):
    """How vLLM comes up; both are called from threads of their own."""

    def load(self) -> Llm:
        """Return the loaded engine. Raises InvalidRequest for arguments it does not take."""
        ...

    def stop(self) -> None:
        """Let `load` fail soon; called until it has."""
        ...


class VllmEngine:
    """The `Engine` of workers with vLLM; *index* knows its prefix cache as far as it is told.

    *transfer_timeout* is how many seconds the KV of a prompt may take from another engine.
    """

    def __init__(
        self,
        loading: Loading,
        totals: Totals,
        *,
        index: PrefixIndex,
        transfer_timeout: float = 20.0,
    ) -> None:
        self._loading = loading
        self._totals = totals
        self._index = index
        self._transfer_timeout = transfer_timeout
        self._task: asyncio.Task[Llm] | None = None
        self._llm: Llm | None = None

    @property
    def capacity(self) -> Capacity:
        """What the loaded engine holds."""
        return self._loaded.capacity

    async def start(self) -> None:
        """Load the model; metrics and signals are answered meanwhile. Raises InvalidRequest."""
        self._task = asyncio.create_task(asyncio.to_thread(self._loading.load))
        self._llm = await asyncio.shield(self._task)
        self._totals.loaded(self.capacity.kv_blocks)

    async def wait_failed(self) -> str:
        """Return once a process of the engine is gone."""
        while not self._loaded.is_failed:  # noqa: ASYNC110 - vLLM has nothing to wait for
            await asyncio.sleep(LOOK_SECONDS)
        return "a process of vLLM ended"

    def uncached_tokens(self, token_ids: list[int]) -> int:
        """Return how many tokens are in no whole block that the engine reported; all if unsure."""
        return len(token_ids) - self._index.cached(token_ids)

    async def reserve(self, request: GenerateRequest) -> None:
        """Check that the request can be served: vLLM takes KV blocks when it schedules one.

        One whose prefill is done elsewhere keeps its blocks there until there is room here.
        """
        self._check(request)

    async def generate(self, request: GenerateRequest) -> AsyncGenerator[TokenDelta, None]:
        """Yield tokens as they come; a KV transfer that fails is made up for by a prefill."""
        request = self._with_usable_transfer(request)
        if request.resumed >= request.sampling.max_tokens:
            await self._forgo(request)
            yield TokenDelta(token_ids=[], finish_reason=FinishReason.LENGTH)
            return
        try:
            self._check(request)
        except InvalidRequest:
            await self._forgo(request)
            raise
        if request.transfer is None:
            made = self._pieces(request, sampling_arguments(request))
        else:
            made = self._fetching(request)
        async with aclosing(made) as pieces:
            is_first = True
            async for piece in pieces:
                if piece.finish == ABORTED:
                    return
                yield TokenDelta(
                    token_ids=piece.token_ids,
                    finish_reason=self._reason(piece),
                    cached_tokens=piece.cached_tokens if is_first else None,
                    logprobs=piece.logprobs,
                )
                is_first = False

    async def prefill(self, request: GenerateRequest) -> Prefilled:
        """Compute the prompt's KV; vLLM holds it for the engine that fetches it, for a while."""
        self._check_length(request)
        async with aclosing(self._pieces(request, PREFILL)) as pieces:
            async for piece in pieces:
                if piece.finish == ABORTED:
                    break
                if piece.transfer is not None:
                    return Prefilled(transfer=piece.transfer, cached_tokens=piece.cached_tokens)
                self._reason(piece)
            else:
                raise RuntimeFault("vLLM told no place of the KV: is it started as prefill?")
        raise Cancelled(f"request {request.request_id} was aborted")

    async def release(self, transfer: dict[str, Any]) -> None:
        """Let go of KV that nobody fetches: vLLM would hold it for its lease, and not rest."""
        if is_usable(transfer):
            await self._loaded.release(transfer)

    async def abort(self, request_id: str) -> None:
        """End a request; its reader gets no finish reason."""
        if self._llm is not None:
            await self._llm.abort(request_id)

    @property
    def why_awake(self) -> str | None:
        """Why the loaded engine can never sleep, or None if it can."""
        return self._loaded.why_awake

    async def sleep(self) -> None:
        """Keep the weights on the host alone, and no KV cache."""
        await self._loaded.sleep()

    async def wake(self) -> None:
        """Take the device's memory again."""
        await self._loaded.wake()

    def stats(self) -> EngineStats:
        """Return what vLLM reported last, and the sums so far."""
        return self._totals.read()

    async def close(self) -> None:
        """End all processes, also while they still load."""
        if self._task is None:
            return
        while not self._task.done():
            self._loading.stop()
            await asyncio.wait({self._task}, timeout=LOOK_SECONDS)
        if self._task.exception() is None:
            await asyncio.to_thread(self._task.result().close)

    @property
    def _loaded(self) -> Llm:
        if self._llm is None:
            raise RuntimeFault("the engine is not loaded")
        return self._llm

    async def _fetching(self, request: GenerateRequest) -> AsyncGenerator[Piece, None]:
        """Yield what vLLM makes of a prompt whose KV it fetches, or computes if that fails."""
        pieces = self._pieces(request, sampling_arguments(request))
        punctual = in_time(
            pieces, seconds=self._transfer_timeout, is_held_up=lambda: self._totals.is_full
        )
        try:
            async with aclosing(pieces), aclosing(punctual):
                async for piece in punctual:
                    yield piece
        except Late:
            log.warning("kv transfer given up request_id=%s", request.request_id)
            self._totals.refuse()
            alone = replace(request, transfer=None)
            async with aclosing(self._pieces(alone, sampling_arguments(alone))) as pieces:
                async for piece in pieces:
                    yield piece

    async def _pieces(
        self, request: GenerateRequest, sampling: dict[str, Any]
    ) -> AsyncGenerator[Piece, None]:
        """Yield what vLLM makes of *request*, counted."""
        totals, prompt = self._totals, len(request.token_ids)
        totals.begin(request.request_id, prompt, is_remote=request.transfer is not None)
        produced = 0
        made = self._loaded.generate(
            request.request_id, request.token_ids, sampling, priority=self._priority(request)
        )
        try:
            async with aclosing(made) as pieces:
                async for piece in pieces:
                    more = len(piece.token_ids)
                    if not produced and more:
                        totals.first(request.request_id, prompt, cached_tokens=piece.cached_tokens)
                        produced, more = 1, more - 1
                    totals.more(prompt + produced - 1, more)
                    produced += more
                    yield piece
        finally:
            totals.end(request.request_id)

    def _priority(self, request: GenerateRequest) -> int:
        """Return the request's priority; one that serves by arrival still prefills for others."""
        return request.sampling.priority if PRIORITY in self.capacity.extras else 0

    async def _forgo(self, request: GenerateRequest) -> None:
        if request.transfer is not None:
            await self.release(request.transfer)

    def _check(self, request: GenerateRequest) -> None:
        """Raise InvalidRequest for what this engine cannot do."""
        self._check_length(request)
        check_extras(request.sampling, self.capacity.extras)

    def _check_length(self, request: GenerateRequest) -> None:
        """Raise InvalidRequest for a prompt that leaves no room for a token."""
        length, longest = len(request.token_ids), self.capacity.context_length
        if length >= longest:
            raise InvalidRequest(
                f"a prompt of {length} tokens does not fit: the engine holds {longest} with the"
                " output"
            )

    def _with_usable_transfer(self, request: GenerateRequest) -> GenerateRequest:
        if request.transfer is None or is_usable(request.transfer):
            return request
        log.warning("kv transfer not understood request_id=%s", request.request_id)
        self._totals.refuse()
        return replace(request, transfer=None)

    def _reason(self, piece: Piece) -> FinishReason | None:
        """Return why it finished, if it did. Raises RuntimeFault for what failed."""
        if piece.finish is None:
            return None
        if piece.finish not in _FINISHED:
            raise RuntimeFault(f"vLLM ended the request with {piece.finish!r}")
        return _FINISHED[piece.finish]
