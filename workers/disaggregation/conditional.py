"""Prefill here or elsewhere, request by request: what a decode worker adds to plain serving."""

from collections.abc import Callable
from functools import partial

from msgspec.structs import replace

from runtime.protocol import GenerateRequest
from workers.disaggregation.decision import prefill_remotely
from workers.disaggregation.depth import QueueDepth
from workers.disaggregation.remote import RemotePrefill
from workers.disaggregation.settings import LimitsWatch
from workers.engine import Engine


class ConditionalPrefill:
    """Sends long prompts to prefill workers while their queue is short enough.

    *anyone_ready* tells whether a prefill worker takes work.
    """

    def __init__(
        self,
        remote: RemotePrefill,
        *,
        limits: LimitsWatch,
        depth: QueueDepth,
        anyone_ready: Callable[[], bool],
    ) -> None:
        self._remote = remote
        self._limits = limits
        self._depth = depth
        self._anyone_ready = anyone_ready

    async def route(self, request: GenerateRequest, engine: Engine) -> GenerateRequest:
        """Return *request* as *engine* is to generate it: with the KV of its prompt, or without.

        KV room is reserved before the prefill is sent away, so its result always finds a place.
        Raises PrefillFailed after the last attempt, and what the engine raises.
        """
        if not await self._is_remote(engine.uncached_tokens(request.token_ids)):
            return request
        await engine.reserve(request)
        result = await self._remote.prefill(request)
        return request if result is None else replace(request, transfer=result.transfer)

    async def _is_remote(self, uncached_tokens: int) -> bool:
        decide = partial(
            prefill_remotely,
            uncached_tokens,
            limits=self._limits.current,
            prefill_workers_present=self._anyone_ready(),
        )
        # The queue is asked only when its answer matters.
        return decide(queue_depth=0) and decide(queue_depth=await self._depth.ask())
