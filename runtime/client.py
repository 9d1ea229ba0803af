"""Sends requests to the instances of one endpoint, chosen by a strategy."""

from collections.abc import AsyncIterator, Collection
from types import TracebackType
from typing import Any, Literal, Self

from runtime.context import Context
from runtime.instance import InstanceRecord
from runtime.stream.inbound import Sink

StrategyName = Literal["round_robin", "random", "least_loaded", "direct"]


class Call:
    """A request that an instance has accepted; its response goes to the sink."""

    @property
    def instance_id(self) -> int:
        """Return the instance that answers."""
        raise NotImplementedError

    def stop(self) -> None:
        """Ask for a graceful end: the sink still receives what comes, and the end."""
        raise NotImplementedError

    def kill(self) -> None:
        """Drop it now; calls the sink's on_end with Cancelled before returning."""
        raise NotImplementedError


class ResponseStream(AsyncIterator[Any]):
    """The items of one response; raises the fault that ended it.

    Leaving the ``async with`` block, or dropping the stream, kills what is not finished.
    """

    @property
    def instance_id(self) -> int:
        """Return the instance that answers."""
        raise NotImplementedError

    async def __anext__(self) -> Any:
        """Return the next item."""
        raise NotImplementedError

    async def stop(self) -> None:
        """Ask for a graceful end; iterate on to receive what is done."""
        raise NotImplementedError

    async def kill(self) -> None:
        """Drop it now."""
        raise NotImplementedError

    async def __aenter__(self) -> Self:
        """Return itself."""
        raise NotImplementedError

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        """Kill what is not finished."""
        raise NotImplementedError


class Client:
    """Requests to one endpoint; made by `Endpoint.client`. Open until the runtime closes."""

    @property
    def instances(self) -> tuple[InstanceRecord, ...]:
        """Return the instances that take requests, by ascending id."""
        raise NotImplementedError

    @property
    def all_instances(self) -> tuple[InstanceRecord, ...]:
        """Return every listed instance, draining ones too."""
        raise NotImplementedError

    def in_flight(self, instance_id: int) -> int:
        """Return how many requests of this client an instance is working on."""
        raise NotImplementedError

    async def wait_for_instances(self, count: int = 1, *, timeout: float) -> None:
        """Return once *count* instances are ready; NoInstances after *timeout* seconds."""
        raise NotImplementedError

    async def open(
        self,
        payload: bytes,
        sink: Sink,
        *,
        request_id: str,
        timeout: float | None = None,
        instance_id: int | None = None,
        exclude: Collection[int] = (),
    ) -> Call:
        """Send *payload* (msgpack) and return once an instance has accepted it.

        The deadline is *timeout* seconds away; *instance_id* admits that instance alone and
        *exclude* none of those. Instances that are gone, draining or silent are passed over.
        Raises NoInstances, DeadlineExceeded, or the fault with which the request was refused.
        """
        raise NotImplementedError

    async def generate(  # noqa: PLR0913 - independent and optional
        self,
        request: Any,
        *,
        context: Context | None = None,
        request_id: str | None = None,
        timeout: float | None = None,
        instance_id: int | None = None,
        exclude: Collection[int] = (),
        response_type: Any = Any,
    ) -> ResponseStream:
        """Send *request* and return its response, whose items are decoded as *response_type*.

        *context* is the request on whose behalf this one is made: its id, deadline, stop and
        kill are passed on. Otherwise as `open`.
        """
        raise NotImplementedError

    async def call(  # noqa: PLR0913 - as generate
        self,
        request: Any,
        *,
        context: Context | None = None,
        request_id: str | None = None,
        timeout: float | None = None,
        instance_id: int | None = None,
        exclude: Collection[int] = (),
        response_type: Any = Any,
    ) -> Any:
        """Return the one value of an endpoint that does not stream; arguments as `generate`."""
        raise NotImplementedError

    async def close(self) -> None:
        """Stop following the instances; calls that are open go on."""
        raise NotImplementedError
