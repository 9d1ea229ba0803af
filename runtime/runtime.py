"""One process' part in a deployment: its store, its request plane and its response streams."""

from types import TracebackType
from typing import Self

from runtime.component import Endpoint, Namespace
from runtime.config import RuntimeConfig
from runtime.ports import RequestPlane, Store


class DistributedRuntime:
    """Everything that a process needs to serve endpoints and to call them; one a process."""

    @classmethod
    async def connect(
        cls,
        config: RuntimeConfig | None = None,
        *,
        store: Store | None = None,
        plane: RequestPlane | None = None,
    ) -> Self:
        """Open what *config* names; *store* and *plane* are taken instead, and owned, if given."""
        raise NotImplementedError

    @property
    def config(self) -> RuntimeConfig:
        """Return what this runtime was connected with."""
        raise NotImplementedError

    @property
    def store(self) -> Store:
        """Return the discovery store."""
        raise NotImplementedError

    @property
    def plane(self) -> RequestPlane:
        """Return the request plane."""
        raise NotImplementedError

    def namespace(self, name: str) -> Namespace:
        """Return the namespace *name*."""
        raise NotImplementedError

    def endpoint(self, component: str, endpoint: str) -> Endpoint:
        """Return an endpoint in this runtime's own namespace."""
        raise NotImplementedError

    async def close(self) -> None:
        """Kill what runs, deregister, end open calls, disconnect."""
        raise NotImplementedError

    async def __aenter__(self) -> Self:
        """Return itself."""
        raise NotImplementedError

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        """Close."""
        raise NotImplementedError
