"""The pages that scrapers and probes read."""

import aiohttp
from prometheus_client import CollectorRegistry, Gauge

from runtime.http.exposition import serve_metrics
from runtime.http.message import json_response


async def test_metrics_and_health_are_served():
    registry = CollectorRegistry()
    Gauge("planner_worker_requests_running", "Running.", registry=registry).set(3)
    takes_work = True
    server = await serve_metrics(registry, lambda: (takes_work, {"status": "ready"}))
    async with aiohttp.ClientSession(f"http://127.0.0.1:{server.port}") as session:
        async with session.get("/metrics") as answer:
            assert "planner_worker_requests_running 3.0" in await answer.text()
            assert answer.content_type == "text/plain"
        async with session.get("/health") as answer:
            assert (answer.status, await answer.json()) == (200, {"status": "ready"})
        takes_work = False
        async with session.get("/health") as answer:
            assert answer.status == 503
    await server.close()


async def test_other_pages_may_be_beside_them():
    async def targets(_request):
        return json_response([])

    server = await serve_metrics(
        CollectorRegistry(), lambda: (True, {}), also={"/targets": targets}
    )
    async with aiohttp.ClientSession(f"http://127.0.0.1:{server.port}") as session:
        async with session.get("/targets") as answer:
            assert await answer.json() == []
        async with session.get("/health") as answer:
            assert answer.status == 200
    await server.close()
