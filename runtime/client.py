"""Sends requests to the instances of one endpoint, chosen by a strategy."""

import uuid
from collections.abc import Collection, Sequence
from typing import Any

import msgspec

from runtime.call import Call, Deadline
from runtime.connections import Closable, Connections
from runtime.context import Context
from runtime.dispatch import Dispatch, Outgoing
from runtime.errors import Draining, NoInstances, NoResponders, RuntimeFault, StreamBroken
from runtime.instance import InstanceRecord
from runtime.instances import Instances
from runtime.response import ResponseBuffer, ResponseStream
from runtime.router.strategy import Placement, PromptStrategy, Strategy
from runtime.stream.inbound import Sink

MAX_ATTEMPTS = 3
_ELSEWHERE = (NoResponders, StreamBroken, Draining)

_encode = msgspec.msgpack.Encoder().encode


class Client:
    """Requests to one endpoint; made by `Endpoint.client`. Open until the runtime closes."""

    def __init__(  # noqa: PLR0913 - parts, put together in one place
        self,
        connections: Connections,
        name: str,
        *,
        dispatch: Dispatch,
        instances: Instances,
        strategy: Strategy,
        instance_id: int | None,
        follower: Closable | None = None,
    ) -> None:
        self._connections = connections
        self._name = name
        self._dispatch = dispatch
        self._instances = instances
        self._strategy = strategy
        self._placing = strategy if isinstance(strategy, PromptStrategy) else None
        self._instance_id = instance_id
        self._follower = follower

    @property
    def instances(self) -> tuple[InstanceRecord, ...]:
        """Return the instances that take requests, by ascending id."""
        return self._instances.ready

    @property
    def all_instances(self) -> tuple[InstanceRecord, ...]:
        """Return every listed instance, draining ones too."""
        return self._instances.all

    def in_flight(self, instance_id: int) -> int:
        """Return how many requests of this client an instance is working on."""
        return self._dispatch.in_flight.get(instance_id, 0)

    async def wait_for_instances(self, count: int = 1, *, timeout: float) -> None:
        """Return once *count* instances are ready; NoInstances after *timeout* seconds."""
        await self._instances.wait(count, timeout=timeout)

    async def open(  # noqa: PLR0913 - independent and optional
        self,
        payload: bytes,
        sink: Sink,
        *,
        request_id: str,
        timeout: float | None = None,
        instance_id: int | None = None,
        exclude: Collection[int] = (),
        token_ids: Sequence[int] | None = None,
    ) -> Call:
        """Send *payload* (msgpack) and return once an instance has accepted it.

        The deadline is *timeout* seconds away; *instance_id* admits that instance alone and
        *exclude* none of those. Instances that are gone, draining or silent are passed over.
        *token_ids* is the prompt, for a strategy that looks at it.
        Raises NoInstances, DeadlineExceeded, or the fault with which the request was refused.
        """
        request = Outgoing(
            payload=payload, request_id=request_id, deadline=Deadline(timeout), sink=sink
        )
        tried = set(exclude)
        wanted = self._instance_id if instance_id is None else instance_id
        fault: RuntimeFault = NoInstances(f"{self._name}: no instance is ready")
        for _ in range(MAX_ATTEMPTS):
            record, placement = self._choose(wanted, tried, token_ids)
            if record is None:
                break
            try:
                return await self._dispatch.send(request, record, placement=placement)
            except _ELSEWHERE as found:
                fault = found
                tried.add(record.instance_id)
                self._instances.mark_down(record)
        raise fault

    async def generate(  # noqa: PLR0913 - independent and optional
        self,
        request: Any,
        *,
        context: Context | None = None,
        request_id: str | None = None,
        timeout: float | None = None,
        instance_id: int | None = None,
        exclude: Collection[int] = (),
        token_ids: Sequence[int] | None = None,
        response_type: Any = Any,
    ) -> ResponseStream:
        """Send *request* and return its response, whose items are decoded as *response_type*.

        *context* is the request on whose behalf this one is made: its id, deadline, stop and
        kill are passed on. Otherwise as `open`.
        """
        buffer = ResponseBuffer(self._connections.config.unread_bytes)
        call = await self.open(
            _encode(request),
            buffer,
            request_id=request_id or (context.id if context else uuid.uuid4().hex),
            timeout=_sooner(timeout, context.remaining() if context else None),
            instance_id=instance_id,
            exclude=exclude,
            token_ids=token_ids,
        )
        if context is not None:
            buffer.at_end(context.follow(call.stop, call.kill))
        return ResponseStream(call, buffer, response_type)

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
        stream = await self.generate(
            request,
            context=context,
            request_id=request_id,
            timeout=timeout,
            instance_id=instance_id,
            exclude=exclude,
            response_type=response_type,
        )
        values: list[Any] = []
        async with stream:
            async for value in stream:
                values.append(value)
                if len(values) > 1:
                    break
        if len(values) != 1:
            number = "more than one value" if values else "no value"
            raise RuntimeFault(f"the endpoint gave {number} where one was expected")
        return values[0]

    async def close(self) -> None:
        """Stop following the instances; calls that are open go on."""
        self._connections.remove(self)
        if self._follower is not None:
            await self._follower.close()
        await self._instances.close()

    def _choose(
        self, instance_id: int | None, tried: Collection[int], token_ids: Sequence[int] | None
    ) -> tuple[InstanceRecord | None, Placement | None]:
        if instance_id is not None:
            named = self._instances.named(instance_id)
            return (named[0] if named and instance_id not in tried else None), None
        candidates = self._instances.candidates(tried)
        if not candidates:
            return None, None
        if token_ids is not None and self._placing is not None:
            placement = self._placing.place(candidates, token_ids)
            return placement.record, placement
        return self._strategy.choose(candidates, self._dispatch.in_flight), None


def _sooner(timeout: float | None, remaining: float | None) -> float | None:
    if timeout is None or remaining is None:
        return remaining if timeout is None else timeout
    return min(timeout, remaining)
