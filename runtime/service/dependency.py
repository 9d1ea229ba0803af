"""Another service as an attribute: its endpoints are called as if it were local."""

from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any, TypeVar, cast

from runtime.client import Client
from runtime.context import current_context
from runtime.router.strategy import StrategyName
from runtime.runtime import DistributedRuntime
from runtime.service.declare import service_endpoints, service_name
from runtime.service.signature import EndpointSignature

T = TypeVar("T")


class Dependency:
    """What `depends` puts on the class; a served instance has a `RemoteService` in its place."""

    def __init__(self, target: type, strategy: StrategyName) -> None:
        self.target = target
        self.strategy = strategy

    def __get__(self, instance: object, owner: type) -> "Dependency":
        """Return itself on the class. Raises RuntimeError on an instance that is not served."""
        if instance is None:
            return self
        name = self.target.__qualname__
        raise RuntimeError(f"{owner.__qualname__} is not served, so {name} is not connected")


def depends(target: type[T], *, strategy: StrategyName = "round_robin") -> T:
    """Return a stand-in for the service *target*, wherever its instances are.

    ``await self.other.greet(request)`` is a value, ``async for item in self.other.tokens(request)``
    reads a stream. Id, deadline, stop and kill of the request in hand are passed on.
    """
    return cast("T", Dependency(target, strategy))


class RemoteService:
    """The endpoints of a service as attributes."""

    @classmethod
    async def connect(
        cls, runtime: DistributedRuntime, target: type, *, strategy: StrategyName = "round_robin"
    ) -> "RemoteService":
        """Return *target* as found through *runtime*; it need not be served yet."""
        remote = cls()
        name = service_name(target)
        namespace = runtime.namespace(name.namespace or runtime.config.namespace)
        component = namespace.component(name.component)
        for attribute, signature in service_endpoints(target).items():
            client = await component.endpoint(signature.name).client(strategy)
            make = _stream if signature.is_stream else _value
            setattr(remote, attribute, make(client, signature))
        return remote


async def connect_dependencies(runtime: DistributedRuntime, instance: object) -> None:
    """Put the services that *instance* depends on in place of their stand-ins."""
    for attribute in dir(type(instance)):
        found = getattr(type(instance), attribute)
        if isinstance(found, Dependency):
            remote = await RemoteService.connect(runtime, found.target, strategy=found.strategy)
            setattr(instance, attribute, remote)


def _stream(client: Client, signature: EndpointSignature) -> Callable[..., AsyncIterator[Any]]:
    async def items(request: Any = None) -> AsyncIterator[Any]:
        response = await client.generate(
            request, context=current_context(), response_type=signature.response_type
        )
        async with response:
            async for item in response:
                yield item

    return items


def _value(client: Client, signature: EndpointSignature) -> Callable[..., Awaitable[Any]]:
    async def value(request: Any = None) -> Any:
        return await client.call(
            request, context=current_context(), response_type=signature.response_type
        )

    return value
