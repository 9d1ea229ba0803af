"""The two pages that every process shows: /metrics for scrapers and /health for probes."""

from collections.abc import Callable, Mapping
from typing import Any

from prometheus_client import CONTENT_TYPE_LATEST, CollectorRegistry, generate_latest

from runtime.http.connection import Handler
from runtime.http.message import Request, Response, json_response
from runtime.http.routes import Routes
from runtime.http.server import HttpServer

Health = Callable[[], tuple[bool, Mapping[str, Any]]]
"""Returns whether the process takes work (else 503), and what /health shows."""


def add_exposition(routes: Routes, registry: CollectorRegistry, health: Health) -> None:
    """Answer GET /metrics and GET /health."""

    async def metrics(_request: Request) -> Response:
        return Response(body=generate_latest(registry), content_type=CONTENT_TYPE_LATEST)

    async def state(_request: Request) -> Response:
        takes_work, page = health()
        return json_response(page, status=200 if takes_work else 503)

    routes.add("GET", "/metrics", metrics)
    routes.add("GET", "/health", state)


async def serve_metrics(
    registry: CollectorRegistry,
    health: Health,
    *,
    host: str = "127.0.0.1",
    port: int = 0,
    also: Mapping[str, Handler] | None = None,
) -> HttpServer:
    """Return a server that shows the two pages, and *also* others by their path.

    Raises OSError when the address is taken.
    """
    routes = Routes()
    add_exposition(routes, registry, health)
    for path, handler in (also or {}).items():
        routes.add("GET", path, handler)
    server = HttpServer(routes)
    await server.start(host, port)
    return server
