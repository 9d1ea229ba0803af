"""Arrivals read from the pages that our frontends show, and from one that shows none."""

import asyncio
from contextlib import asynccontextmanager

import pytest

from planner.sources.processes import ScrapedProcesses
from planner.sources.scrape import ScrapeSource
from runtime.frontend.arrivals_page import add_arrivals
from runtime.frontend.measure import Measure
from runtime.frontend.metrics import FrontendMetrics
from runtime.frontend.sla import Targets
from runtime.http.exposition import add_exposition
from runtime.http.routes import Routes
from runtime.http.server import HttpServer

EPOCH = 1_700_000_000.0


class Wall:
    now = EPOCH

    def __call__(self):
        return self.now


class Frontends:
    """Pages of frontends on the loopback, all on one virtual wall clock."""

    def __init__(self):
        self.wall = Wall()
        self.servers = []

    async def add(self, *, has_bins=True):
        """Return the metrics of one more frontend."""
        metrics = FrontendMetrics(Targets(), namespace="n", wall=self.wall)
        metrics.of("m")
        routes = Routes()
        add_exposition(routes, metrics.registry, lambda: (True, {}))
        if has_bins:
            add_arrivals(routes, metrics)
        server = HttpServer(routes)
        await server.start("127.0.0.1")
        self.servers.append(server)
        return metrics

    async def instances(self):
        return []

    async def frontends(self):
        return [f"http://127.0.0.1:{server.port}/" for server in self.servers]


@asynccontextmanager
async def reading(frontends, **options):
    source = ScrapeSource(frontends, ScrapedProcesses(**options))
    try:
        yield source
    finally:
        await source.close()
        await asyncio.gather(*(server.close() for server in frontends.servers))


def arrive(metrics, *lengths, model="m"):
    for isl in lengths:
        with Measure(metrics.of(model), isl=isl, arrived=0.0, clock=lambda: 0.0):
            pass


async def look(source, frontends, *, after):
    frontends.wall.now = EPOCH + after
    traffic = (await source.observe({}, now=EPOCH + after)).traffic
    return traffic if traffic is None else traffic.arrivals


async def test_what_arrived_between_two_looks_in_bins():
    frontends = Frontends()
    first, second = await frontends.add(), await frontends.add()
    async with reading(frontends) as source:
        arrive(first, 5000)
        assert await look(source, frontends, after=10.0) is None
        arrive(first, 100)
        frontends.wall.now += 0.3
        arrive(second, 200, 300)
        frontends.wall.now += 0.25
        arrive(first, 7)  # in the bin that is not over at the next look
        seen = await look(source, frontends, after=10.7)
        assert (seen.counts, seen.isl, seen.isl_squared) == (
            (1, 2),
            (100, 500),
            (10_000, 130_000),
        )
        assert (await look(source, frontends, after=11.0)).isl == (7, 0)


@pytest.mark.parametrize(("model", "isl"), [("m", (10,)), ("other", (20,)), (None, (30,))])
async def test_one_model_of_several(model, isl):
    frontends = Frontends()
    metrics = await frontends.add()
    async with reading(frontends, model=model) as source:
        await look(source, frontends, after=0.0)
        arrive(metrics, 10)
        arrive(metrics, 20, model="other")
        assert (await look(source, frontends, after=0.25)).isl == isl


async def test_a_frontend_without_bins_leaves_the_rest_of_traffic():
    frontends = Frontends()
    metrics = await frontends.add()
    await frontends.add(has_bins=False)
    async with reading(frontends) as source:
        await source.observe({}, now=0.0)
        arrive(metrics, 100)
        traffic = (await source.observe({}, now=5.0)).traffic
    assert (traffic.arrived, traffic.arrivals) == (1, None)


async def test_a_look_that_failed_is_made_up_for():
    frontends = Frontends()
    metrics = await frontends.add()
    async with reading(frontends) as source:
        await look(source, frontends, after=0.0)
        arrive(metrics, 10)
        await frontends.add(has_bins=False)
        assert await look(source, frontends, after=0.5) is None
        await frontends.servers.pop().close()
        arrive(metrics, 20)
        assert (await look(source, frontends, after=1.0)).isl == (10, 0, 20, 0)
