"""A namespace of a fake cluster, and connectors on it."""

import asyncio
import time
from collections.abc import Callable, Mapping
from contextlib import AsyncExitStack
from typing import Any

from connectors.kubernetes.api import Api
from connectors.kubernetes.cluster import Cluster
from connectors.kubernetes.connector import KubernetesConnector
from connectors.kubernetes.kinds import DEPLOYMENTS, PODS, Kind
from fake_cluster.kubelet import FakeKubelet
from fake_cluster.server import FakeApiServer
from planner.core.observation import Replicas
from planner.core.role import Role

NAMESPACE = "ns"
Fleet = Mapping[Role, Replicas]


class Place:
    """A namespace on *server* with its kubelet; what it opens is closed with the test."""

    def __init__(self, server: FakeApiServer, api: Api, stack: AsyncExitStack) -> None:
        self.server = server
        self.api = api
        self.kubelet = FakeKubelet(api, NAMESPACE)
        self.in_flight: dict[str, int] = {}
        self._stack = stack

    def put(self, kind: Kind, item: dict[str, Any]) -> None:
        self.server.store.create(kind.path(NAMESPACE), item)

    def edit(self, name: str, replicas: int, kind: Kind = DEPLOYMENTS) -> None:
        """Set the replicas as somebody with kubectl does."""
        item = self.server.store.get(kind.path(NAMESPACE), name)
        item["spec"]["replicas"] = replicas
        self.server.store.update(kind.path(NAMESPACE), name, item)

    def replicas(self, name: str, kind: Kind = DEPLOYMENTS) -> int:
        count: int = self.server.store.get(kind.path(NAMESPACE), name)["spec"]["replicas"]
        return count

    def pods(self) -> list[str]:
        return [pod["metadata"]["name"] for pod in self.server.store.list(PODS.path(NAMESPACE))]

    def fail(self, role: str, reason: str, message: str) -> int:
        """Have the containers of those of *role* that are placed and not ready wait; how many."""
        path, count = PODS.path(NAMESPACE), 0
        for pod in self.server.store.list(path):
            is_placed = pod["spec"].get("nodeName") and pod["status"]["phase"] == "Pending"
            if pod["metadata"]["name"].startswith(role) and is_placed:
                waiting = {"waiting": {"reason": reason, "message": message}}
                pod["status"]["containerStatuses"] = [{"name": "worker", "state": waiting}]
                self.server.store.update(path, pod["metadata"]["name"], pod)
                count += 1
        return count

    def scale_requests(self) -> int:
        """How often the API server was asked about a scale, or to mark a pod."""
        return sum(
            path.endswith("/scale") or (method == "PATCH" and not path.endswith("/status"))
            for method, path in self.server.log
        )

    async def watching(self, **settings: Any) -> Cluster:
        settings = {"deployment": "test", "clock": time.monotonic} | settings
        cluster = Cluster(self.api, NAMESPACE, **settings)
        self._stack.push_async_callback(cluster.close)
        await cluster.start()
        return cluster

    async def connector(
        self, cluster: Cluster | None = None, **settings: Any
    ) -> KubernetesConnector:
        cluster = cluster or await self.watching()
        settings = {"in_flight": lambda: self.in_flight, "deployment": "test"} | settings
        connector = KubernetesConnector(cluster, **settings)
        self._stack.push_async_callback(connector.close)
        return connector


async def until(connector: KubernetesConnector, condition: Callable[[Fleet], bool]) -> Fleet:
    async with asyncio.timeout(15):
        while not condition(fleet := await connector.fleet()):  # noqa: ASYNC110
            await asyncio.sleep(0.01)
    return fleet


async def true(condition: Callable[[], bool]) -> None:
    async with asyncio.timeout(15):
        while not condition():  # noqa: ASYNC110
            await asyncio.sleep(0.01)
