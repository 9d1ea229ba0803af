"""One frontend process: HTTP in front, the models of a namespace behind."""

import logging
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import msgspec

from runtime.frontend.api import Api
from runtime.frontend.arrivals_page import add_arrivals
from runtime.frontend.directory import ModelDirectory
from runtime.frontend.errors import render
from runtime.frontend.metrics import FrontendMetrics
from runtime.frontend.relay import Relay, RelayLimits
from runtime.frontend.sla import Targets
from runtime.http.exposition import add_exposition
from runtime.http.limits import HttpLimits
from runtime.http.routes import Routes
from runtime.http.server import HttpServer
from runtime.instance import decode_record
from runtime.router.kv.cost import KvSettings
from runtime.router.strategy import StrategyName
from runtime.runtime import DistributedRuntime

if TYPE_CHECKING:
    from runtime.ports import Watch
    from runtime.serving import ServedEndpoint

log = logging.getLogger(__name__)

COMPONENT = "frontend"
ENDPOINT = "http"
_WILDCARDS = {"0.0.0.0": "127.0.0.1", "::": "[::1]", "": "127.0.0.1"}  # noqa: S104


@dataclass(frozen=True, slots=True, kw_only=True)
class FrontendOptions:
    """Settings of one frontend; times in seconds."""

    host: str = "127.0.0.1"
    port: int = 8080
    url: str | None = None
    """Where others reach it; made of host and port if None."""
    instance_id: int | None = None
    """Its id in a static deployment; a new one if None."""
    targets: Targets = field(default_factory=Targets)
    relay: RelayLimits = field(default_factory=RelayLimits)
    http: HttpLimits = field(default_factory=HttpLimits)
    strategy: StrategyName = "least_loaded"
    kv: KvSettings = field(default_factory=KvSettings)
    """Of the strategy of that name."""
    grace: float = 60.0
    """How long a model without workers stays known."""


class Frontend:
    """Serves from `start` to `drain`; the runtime stays its owner's."""

    def __init__(self, runtime: DistributedRuntime, options: FrontendOptions) -> None:
        self._runtime = runtime
        self._options = options
        self.metrics = FrontendMetrics(options.targets, namespace=runtime.config.namespace)
        self._directory = ModelDirectory(
            runtime,
            strategy=options.strategy,
            kv=options.kv,
            grace=options.grace,
            appeared=self.metrics.of,
        )
        self._server = self._make_server()
        self._registration: ServedEndpoint | None = None
        self._instances: Watch | None = None
        self._is_draining = False

    @property
    def url(self) -> str:
        """Return where others reach it."""
        host = _WILDCARDS.get(self._options.host, self._options.host)
        return self._options.url or f"http://{host}:{self._server.port}"

    async def start(self) -> None:
        """Know the models, listen, and be found. Raises OSError when the port is taken."""
        namespace = self._runtime.config.namespace
        await self._directory.start()
        self._instances = await self._runtime.store.watch(f"instances/{namespace}/")
        await self._server.start(self._options.host, self._options.port)
        endpoint = self._runtime.endpoint(COMPONENT, ENDPOINT)
        self._registration = await endpoint.serve(
            self._describe, metadata={"url": self.url}, instance_id=self._options.instance_id
        )
        log.info("frontend ready url=%s namespace=%s", self.url, namespace)

    async def drain(self, timeout: float) -> None:
        """Leave discovery, accept nothing new, finish what runs for up to *timeout* seconds."""
        self._is_draining = True
        if self._registration is not None:
            await self._registration.close()
        await self._server.close(timeout=timeout)
        await self._directory.close()
        if self._instances is not None:
            await self._instances.close()

    def health(self) -> tuple[bool, Mapping[str, Any]]:
        """Return whether requests are taken, and the page of /health."""
        models = {model.card.name: model.instances() for model in self._directory.models()}
        page = {
            "status": self._status(any(models.values())),
            "live": True,
            "models": [{"name": name, "instances": ready} for name, ready in models.items()],
            "instances": self._known_instances(),
        }
        return not self._is_draining, page

    def _status(self, can_serve: bool) -> str:
        if self._is_draining:
            return "draining"
        return "ready" if can_serve else "waiting for workers"

    def _known_instances(self) -> list[dict[str, Any]]:
        entries = {} if self._instances is None else self._instances.entries
        listed = []
        for key in sorted(entries):
            try:
                record = decode_record(entries[key])
            except msgspec.MsgspecError:
                continue
            listed.append(
                {
                    "component": record.component,
                    "endpoint": record.endpoint,
                    "instance_id": f"{record.instance_id:x}",
                    "name": record.metadata.get("name"),
                    "state": record.state,
                }
            )
        return listed

    async def _describe(self, _request: Any, _context: Any) -> Mapping[str, Any]:
        return self.health()[1]

    def _make_server(self) -> HttpServer:
        routes = Routes()
        relay = Relay(self._options.relay)
        Api(self._directory, metrics=self.metrics, relay=relay).add_to(routes)
        add_exposition(routes, self.metrics.registry, self.health)
        add_arrivals(routes, self.metrics)
        return HttpServer(routes, limits=self._options.http, render=render)
