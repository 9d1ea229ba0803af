"""One endpoint served by this process: registration, requests in flight, drain."""

from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from typing import Any

from runtime.context import Context
from runtime.instance import InstanceRecord

Handler = Callable[[Any, Context], AsyncIterator[Any] | Awaitable[Any]]
"""An async generator function (a stream) or a coroutine function (a single value)."""


class ServedEndpoint:
    """What `Endpoint.serve` returns."""

    @property
    def instance(self) -> InstanceRecord:
        """Return the record as it is registered."""
        raise NotImplementedError

    @property
    def in_flight(self) -> int:
        """Return how many requests are accepted and not finished."""
        raise NotImplementedError

    async def set_metadata(self, metadata: Mapping[str, Any]) -> None:
        """Replace the metadata of the record."""
        raise NotImplementedError

    async def drain(self, timeout: float) -> bool:
        """Leave: take nothing new, wait *timeout* seconds for what runs, kill the rest, close.

        Returns whether everything finished. Those killed end with Draining at their clients,
        which may send them elsewhere.
        """
        raise NotImplementedError

    async def close(self) -> None:
        """Deregister and kill what runs."""
        raise NotImplementedError
