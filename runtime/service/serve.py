"""A service that runs: started, its endpoints served, drained, shut down."""

import asyncio
import inspect
from collections.abc import AsyncIterator, Awaitable
from typing import TYPE_CHECKING, Any

from runtime.context import Context
from runtime.invocation import Handler
from runtime.runtime import DistributedRuntime
from runtime.service.declare import service_endpoints, service_hooks, service_name
from runtime.service.dependency import connect_dependencies
from runtime.service.signature import EndpointSignature

if TYPE_CHECKING:
    from runtime.serving import ServedEndpoint


class ServedService:
    """One instance of a service class and the endpoints under which it is found."""

    def __init__(self, instance: object) -> None:
        self.instance = instance
        self.endpoints: dict[str, ServedEndpoint] = {}
        self._is_closed = False

    async def drain(self, timeout: float) -> bool:
        """Finish what runs, at most *timeout* seconds, then shut down; whether all finished."""
        drained = await asyncio.gather(*(one.drain(timeout) for one in self.endpoints.values()))
        await self.close()
        return all(drained)

    async def close(self) -> None:
        """Leave at once and run the shutdown hooks; twice is fine."""
        if self._is_closed:
            return
        self._is_closed = True
        for served in self.endpoints.values():
            await served.close()
        await run_hooks(self.instance, "shutdown")


async def serve_service(runtime: DistributedRuntime, cls: type) -> ServedService:
    """Make an instance of *cls*, start it and serve its endpoints.

    Dependencies are connected before the start hooks run. TypeError when *cls* is no service;
    when a hook or the registration fails, the instance is shut down first.
    """
    name = service_name(cls)
    served = ServedService(cls())
    component = runtime.namespace(name.namespace or runtime.config.namespace).component(
        name.component
    )
    try:
        await connect_dependencies(runtime, served.instance)
        await run_hooks(served.instance, "start")
        for attribute, signature in service_endpoints(cls).items():
            served.endpoints[signature.name] = await component.endpoint(signature.name).serve(
                _handler(served.instance, attribute, signature=signature),
                request_type=signature.request_type,
            )
    except BaseException:
        await served.close()
        raise
    return served


async def run_hooks(instance: object, when: str) -> None:
    """Run the hooks of *instance* that are due at *when*, in the order of their definition."""
    for attribute in service_hooks(type(instance), when):
        result = getattr(instance, attribute)()
        if inspect.isawaitable(result):
            await result


def _handler(instance: object, attribute: str, *, signature: EndpointSignature) -> Handler:
    method = getattr(instance, attribute)

    def handle(request: Any, context: Context) -> AsyncIterator[Any] | Awaitable[Any]:
        answer: AsyncIterator[Any] | Awaitable[Any]
        answer = method(**signature.arguments(request, context))
        return answer

    return handle
