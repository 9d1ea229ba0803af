"""A fake API server for the length of a block, and clients of it."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from kubernetes.aio import client

from connectors.kubernetes.api import Api
from fake_cluster.server import FakeApiServer


@asynccontextmanager
async def fake_api_server() -> AsyncIterator[FakeApiServer]:
    server = FakeApiServer()
    await server.start()
    try:
        yield server
    finally:
        await server.close()


@asynccontextmanager
async def api_of(server: FakeApiServer, *, timeout: float = 4.0) -> AsyncIterator[Api]:
    api = Api(client.ApiClient(client.Configuration(host=server.url)), timeout=timeout)
    try:
        yield api
    finally:
        await api.close()
