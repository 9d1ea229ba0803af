"""How a running deployment is looked at from outside: its fleet, and what its frontend says."""

from collections.abc import AsyncIterator, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from typing import Any

import aiohttp

from connectors.circus.connector import CircusConnector
from connectors.circus.probes import ProbedRegistry
from connectors.circus.spec import DeploymentSpec
from planner.cli.control.registry import StoreRegistry
from planner.errors import MetricsUnavailable
from planner.ports import Registry
from runtime.discovery.open import open_store
from runtime.errors import RuntimeFault

_SECONDS = 2.0
_TIMEOUT = aiohttp.ClientTimeout(total=_SECONDS)


@asynccontextmanager
async def open_fleet(spec: DeploymentSpec) -> AsyncIterator[CircusConnector]:
    """Yield a connector to the deployment *spec*, to look at it.

    Raises MetricsUnavailable without the store in which its replicas register, if they do.
    """
    async with AsyncExitStack() as stack:
        registry = await _registry(spec, stack)
        connector = CircusConnector(spec, registry)
        stack.push_async_callback(connector.close)
        yield connector


async def _registry(spec: DeploymentSpec, stack: AsyncExitStack) -> Registry:
    if spec.is_served_by_others:
        probed = ProbedRegistry(spec, path=None, timeout=_SECONDS)
        stack.callback(probed.close)
        return probed
    try:
        store = await open_store(spec.store_url)
    except RuntimeFault as error:
        raise MetricsUnavailable(str(error), hint="planner stop, then planner serve") from error
    stack.push_async_callback(store.close)
    registry = StoreRegistry(store, spec.namespace)
    stack.push_async_callback(registry.close)
    return registry


class Frontend:
    """The HTTP side of a deployment, read for people; None wherever it does not answer."""

    def __init__(self, url: str) -> None:
        self._url = url
        self._session = aiohttp.ClientSession(timeout=_TIMEOUT)

    async def models(self) -> list[str] | None:
        """Return the names of the models that it serves."""
        listed = await self._json("/v1/models")
        return None if listed is None else [model["id"] for model in listed["data"]]

    async def metrics(self) -> str | None:
        """Return its metrics page."""
        try:
            async with self._session.get(f"{self._url}/metrics") as response:
                return await response.text() if response.ok else None
        except (aiohttp.ClientError, TimeoutError):
            return None

    async def close(self) -> None:
        """Disconnect."""
        await self._session.close()

    async def _json(self, path: str) -> Mapping[str, Any] | None:
        try:
            async with self._session.get(f"{self._url}{path}") as response:
                return await response.json() if response.ok else None
        except (aiohttp.ClientError, TimeoutError, ValueError):
            return None
