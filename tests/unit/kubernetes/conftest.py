"""A fake cluster, empty or with a deployment on it."""

from collections.abc import AsyncIterator
from contextlib import AsyncExitStack

import pytest
from fake_cluster.objects import workload
from fake_cluster.place import Place
from fake_cluster.running import api_of
from fake_cluster.server import FakeApiServer

from connectors.kubernetes.kinds import DEPLOYMENTS


@pytest.fixture
async def server() -> AsyncIterator[FakeApiServer]:
    server = FakeApiServer()
    await server.start()
    yield server
    await server.close()


@pytest.fixture
async def empty(server: FakeApiServer) -> AsyncIterator[Place]:
    """Nothing is deployed."""
    async with api_of(server) as api, AsyncExitStack() as stack:
        place = Place(server, api, stack)
        await place.kubelet.start()
        stack.push_async_callback(place.kubelet.close)
        yield place


@pytest.fixture
async def place(empty: Place) -> Place:
    """One prefill and two decode replicas in Deployments."""
    empty.put(DEPLOYMENTS, workload("Deployment", "prefill", replicas=1))
    empty.put(DEPLOYMENTS, workload("Deployment", "decode", replicas=2))
    return empty
