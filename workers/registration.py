"""A worker's two records, the instance and the model it serves, and how both go away."""

import asyncio
import logging
from collections.abc import Awaitable, Mapping
from typing import Any, Self

from runtime.errors import StoreUnavailable
from runtime.instance import InstanceState
from runtime.models import encode_entry, model_entry, model_key
from runtime.protocol import GenerateRequest
from runtime.runtime import DistributedRuntime
from runtime.serving import ServedEndpoint
from workers.parts import Part

log = logging.getLogger(__name__)

Card = tuple[str, bytes]
"""A key of the store and the model card under it."""
_STORE_SECONDS = 2.0  # how long leaving waits for a store that is away; the lease ends by itself


class Registration:
    """A part that clients can find, until it is drained."""

    def __init__(
        self, runtime: DistributedRuntime, part: Part, served: ServedEndpoint, card: Card | None
    ) -> None:
        self._store = runtime.store
        self._part = part
        self._served = served
        self._card = card

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
        card = None
        if part.card is not None:
            entry = model_entry(part.card, component=component, endpoint=part.endpoint)
            key = model_key(entry, namespace=runtime.config.namespace, instance_id=instance_id)
            card = key, encode_entry(entry)
            await runtime.store.put(*card, leased=True)
        return cls(runtime, part, served, card)

    @property
    def in_flight(self) -> int:
        """Requests taken and not finished, on whatever way they came."""
        return self._served.in_flight + self._part.in_flight()

    async def drain(self, timeout: float) -> bool:
        """Take nothing new, finish within *timeout* seconds, deregister.

        Returns whether everything was finished. What was not ends with Draining at its client, or
        goes back to the queue.
        """
        await self._withdraw()
        finished = True
        if self._part.drain is not None:
            await self._served.set_state(InstanceState.DRAINING)
            finished = await self._part.drain(timeout)
        return await self._served.drain(timeout) and finished

    async def pause(self, timeout: float) -> bool:
        """Take nothing new; returns whether all is finished within *timeout* seconds.

        What came over other ways and is not finished by then goes back to its queue.
        """
        await self._withdraw()
        await self._served.set_state(InstanceState.DRAINING)
        if self._part.drain is not None:
            await self._part.drain(timeout)
        return await self._served.wait_idle(timeout)

    async def rest(self) -> None:
        """Be listed as asleep, after `pause`."""
        await self._served.set_state(InstanceState.SLEEPING)

    async def resume(self) -> None:
        """Take requests again."""
        self._part.resume()
        await self._served.set_state(InstanceState.READY)
        if self._card is not None:
            await self._tell(self._store.put(*self._card, leased=True))

    async def _withdraw(self) -> None:
        if self._card is not None:
            await self._tell(self._store.delete(self._card[0]))

    async def _tell(self, writing: Awaitable[None]) -> None:
        try:
            async with asyncio.timeout(_STORE_SECONDS):
                await writing
        except (StoreUnavailable, TimeoutError) as error:
            log.warning("store not told: %s", error)
