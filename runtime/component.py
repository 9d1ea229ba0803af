"""Names on the way to an endpoint: namespace, component, endpoint."""

from collections.abc import Mapping
from random import Random
from typing import Any

from runtime.client import Client, StrategyName
from runtime.serving import Handler, ServedEndpoint


class Endpoint:
    """Something that instances serve and clients call."""

    async def serve(
        self,
        handler: Handler,
        *,
        metadata: Mapping[str, Any] | None = None,
        instance_id: int | None = None,
        request_type: Any = Any,
    ) -> ServedEndpoint:
        """Serve it from this process until the result is drained or closed.

        *handler* takes the request, decoded as *request_type*, and its Context. It is an async
        generator function or a coroutine function. A request that does not fit is refused
        with InvalidRequest. Clients find the instance once this returns.
        """
        raise NotImplementedError

    async def client(
        self,
        strategy: StrategyName = "round_robin",
        *,
        instance_id: int | None = None,
        rng: Random | None = None,
    ) -> Client:
        """Return a client that knows the instances of now and follows them.

        *instance_id* is the one that strategy "direct" sends to; without it every call names
        one. *rng* is what "random" and "least_loaded" draw from.
        """
        raise NotImplementedError


class Component:
    """A part of the deployment that scales on its own."""

    def endpoint(self, name: str) -> Endpoint:
        """Return the endpoint *name* of this component."""
        raise NotImplementedError


class Namespace:
    """A deployment; several live side by side on one store."""

    def component(self, name: str) -> Component:
        """Return the component *name* of this namespace."""
        raise NotImplementedError
