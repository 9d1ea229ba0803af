"""Several runtimes over one store and one request plane, as the processes of a deployment."""

from collections.abc import AsyncIterator

import pytest

from runtime import DistributedRuntime, RuntimeConfig
from runtime.discovery.memory import MemoryBackend, MemoryStore
from runtime.messaging.memory import MemoryExchange, MemoryPlane


class Deployment:
    """Connects runtimes that find each other, and closes them."""

    def __init__(self) -> None:
        self.backend = MemoryBackend()
        self.exchange = MemoryExchange()
        self.runtimes: list[DistributedRuntime] = []

    async def connect(self, **settings: object) -> DistributedRuntime:
        made = await DistributedRuntime.connect(
            RuntimeConfig(**settings),
            store=MemoryStore(self.backend),
            plane=MemoryPlane(self.exchange),
        )
        self.runtimes.append(made)
        return made

    async def close(self) -> None:
        for runtime in self.runtimes:
            await runtime.close()


@pytest.fixture
async def deployment() -> AsyncIterator[Deployment]:
    made = Deployment()
    yield made
    await made.close()


@pytest.fixture
async def worker(deployment: Deployment) -> DistributedRuntime:
    return await deployment.connect()


@pytest.fixture
async def caller(deployment: Deployment) -> DistributedRuntime:
    return await deployment.connect()
