"""A worker's two records, the instance and the model it serves, and how both go away."""

import asyncio
import logging
from collections.abc import Awaitable, Mapping
from typing import Any, Self

from msgspec.structs import replace

from runtime.errors import StoreUnavailable
from runtime.instance import InstanceState, encode_record
from runtime.models import encode_entry, model_entry, model_key
from runtime.protocol import GenerateRequest
from runtime.runtime import DistributedRuntime
from runtime.serving import ServedEndpoint
from workers.parts import Part

log = logging.getLogger(__name__)

_STORE_SECONDS = 2.0  # how long leaving waits for a store that is away; the lease ends by itself


class Registration:
    """A part that clients can find, until it is drained."""

    def __init__(
        self, runtime: DistributedRuntime, part: Part, served: ServedEndpoint, card_key: str | None
    ) -> None:
        self._store = runtime.store
        self._part = part
        self._served = served
        self._card_key = card_key

    @classmethod
    async def publish(
        cls,
        runtime: DistributedRuntime,
        part: Part,
        *,
        component: str,
        instance_id: int,
        metadata: Mapping[str, Any],
    ) -> Self:
        """Serve *part* and register it; raises StoreUnavailable."""
        served = await runtime.endpoint(component, part.endpoint).serve(
            part.handler,
            metadata=metadata,
            instance_id=instance_id,
            request_type=GenerateRequest,
        )
        card_key = None
        if part.card is not None:
            entry = model_entry(part.card, component=component, endpoint=part.endpoint)
            card_key = model_key(entry, namespace=runtime.config.namespace, instance_id=instance_id)
            await runtime.store.put(card_key, encode_entry(entry), leased=True)
        return cls(runtime, part, served, card_key)

    @property
    def in_flight(self) -> int:
        """Requests taken and not finished, on whatever way they came."""
        return self._served.in_flight + self._part.in_flight()

    async def drain(self, timeout: float) -> bool:
        """Take nothing new, finish within *timeout* seconds, deregister.

        Returns whether everything was finished. What was not ends with Draining at its client, or
        goes back to the queue.
        """
        if self._card_key is not None:
            await self._tell(self._store.delete(self._card_key))
        finished = True
        if self._part.drain is not None:
            record = replace(self._served.instance, state=InstanceState.DRAINING)
            await self._tell(self._store.put(record.key, encode_record(record), leased=True))
            finished = await self._part.drain(timeout)
        return await self._served.drain(timeout) and finished

    async def _tell(self, writing: Awaitable[None]) -> None:
        try:
            async with asyncio.timeout(_STORE_SECONDS):
                await writing
        except (StoreUnavailable, TimeoutError) as error:
            log.warning("store not told: %s", error)
