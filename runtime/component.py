"""Names on the way to an endpoint: namespace, component, endpoint."""

from collections.abc import Mapping
from random import Random
from typing import Any

from runtime.client import Client
from runtime.connections import Connections
from runtime.dispatch import Dispatch
from runtime.instance import (
    InstanceRecord,
    checked_name,
    instance_prefix,
    instance_subject,
    new_instance_id,
)
from runtime.instances import Instances
from runtime.invocation import Handler
from runtime.router.kv.cost import KvSettings
from runtime.router.kv.follower import KvFollower
from runtime.router.kv.router import KvRouter
from runtime.router.strategy import Strategy, StrategyName, make_strategy
from runtime.serving import ServedEndpoint


class Endpoint:
    """Something that instances serve and clients call."""

    def __init__(
        self, connections: Connections, namespace: str, *, component: str, name: str
    ) -> None:
        self._connections = connections
        self.namespace = namespace
        self.component = component
        self.name = checked_name("endpoint", name)

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
        chosen = new_instance_id() if instance_id is None else instance_id
        record = InstanceRecord(
            namespace=self.namespace,
            component=self.component,
            endpoint=self.name,
            instance_id=chosen,
            subject=instance_subject(self.namespace, self.component, self.name, chosen),
            metadata=dict(metadata or {}),
        )
        return await ServedEndpoint.start(
            self._connections, record, handler=handler, request_type=request_type
        )

    async def client(
        self,
        strategy: StrategyName = "round_robin",
        *,
        instance_id: int | None = None,
        rng: Random | None = None,
        kv: KvSettings | None = None,
    ) -> Client:
        """Return a client that knows the instances of now and follows them.

        *instance_id* is the one that every call without another goes to, as strategy "direct"
        needs. *rng* is what strategies draw from; *kv* are the settings of the one of that name.
        """
        chooser = make_strategy(strategy, rng, kv=kv)
        streams = await self._connections.streams()
        prefix = instance_prefix(self.namespace, self.component, self.name)
        instances = Instances(await self._connections.store.watch(prefix))
        client = Client(
            self._connections,
            f"{self.namespace}/{self.component}/{self.name}",
            dispatch=Dispatch(self._connections, streams),
            instances=instances,
            strategy=chooser,
            instance_id=instance_id,
            follower=await self._follow(chooser, instances),
        )
        self._connections.add(client)
        return client

    async def _follow(self, strategy: Strategy, instances: Instances) -> KvFollower | None:
        """Let *strategy* know what the instances have cached, if it asks for that."""
        if not isinstance(strategy, KvRouter):
            return None
        try:
            return await KvFollower.start(
                self._connections.plane,
                strategy,
                namespace=self.namespace,
                component=self.component,
                instances=instances,
            )
        except BaseException:
            await instances.close()
            raise


class Component:
    """A part of the deployment that scales on its own."""

    def __init__(self, connections: Connections, namespace: str, *, name: str) -> None:
        self._connections = connections
        self.namespace = namespace
        self.name = checked_name("component", name)

    def endpoint(self, name: str) -> Endpoint:
        """Return the endpoint *name* of this component."""
        return Endpoint(self._connections, self.namespace, component=self.name, name=name)


class Namespace:
    """A deployment; several live side by side on one store."""

    def __init__(self, connections: Connections, name: str) -> None:
        self._connections = connections
        self.name = checked_name("namespace", name)

    def component(self, name: str) -> Component:
        """Return the component *name* of this namespace."""
        return Component(self._connections, self.name, name=name)
