"""This project's own frontends and workers, seen through a Prometheus."""

from contextlib import asynccontextmanager
from dataclasses import replace

import pytest
from aiohttp import web
from aiohttp.test_utils import TestServer
from prometheus_client import generate_latest

from planner.core.observation import Quantiles, Replicas
from planner.core.role import Role
from planner.errors import MetricsUnavailable
from planner.ports import Instance, InstanceState
from planner.sources.processes import ScrapedProcesses
from planner.sources.prometheus.api import Access, PrometheusApi
from planner.sources.prometheus.pages import PrometheusPages
from planner.sources.prometheus.processes import PrometheusProcesses
from planner.sources.prometheus.promql import Scope
from planner.sources.scrape import ScrapeSource
from runtime.frontend.metrics import FrontendMetrics, Status
from runtime.frontend.sla import Targets
from workers.engine import EngineStats, StepTotals
from workers.metrics import WorkerMetrics

FLEET = {Role.DECODE: Replicas(ready=1)}
FRONTEND, WORKER = "127.0.0.1:8080", "127.0.0.1:9001"


class Deployment:
    """A frontend and a worker with real metrics, both a registry and what is scraped of it."""

    def __init__(self, *, requests=0):
        self.frontend = FrontendMetrics(Targets(), namespace="ours")
        self.worker = WorkerMetrics(
            model="m", namespace="ours", component="decode", instance="decode-1"
        )
        self.worker.read(stats=self.stats, in_flight=lambda: 3, queue_depth=lambda: None)
        self.worker.set_start("registered", 21.0)
        self.steps = 0
        self.urls = {FRONTEND: f"http://{FRONTEND}", WORKER: f"http://{WORKER}/metrics"}
        for _ in range(requests):
            self.serve(1000, 100)

    def stats(self):
        figures = dict.fromkeys(EngineStats.__dataclass_fields__, 7)
        steps = StepTotals(
            prefill_steps=self.steps, decoded_tokens=self.steps, kv_tokens_read=9 * self.steps,
            prefilled_tokens=1000 * self.steps, prefilled_squared_tokens=10**6 * self.steps,
        )  # fmt: skip
        return EngineStats(**figures | {"steps": steps, "transfers": None})

    def serve(self, isl, osl):
        one = self.frontend.of("m")
        one.isl.observe(isl)
        one.isl_squared.inc(isl**2)
        one.osl.observe(osl)
        one.context_output.inc((isl + osl / 2) * osl)
        one.ttft.observe(0.1)
        one.itl.observe(0.01)
        one.within_sla.inc()
        one.ended(Status.SUCCESS)
        self.worker.observe_step(0.05)
        self.steps += 1

    def page(self, address):
        registry = self.frontend.registry if address == FRONTEND else self.worker.registry
        return generate_latest(registry).decode()

    def scraped(self, fake, *, after=5.0):
        fake.now += after
        fake.scrape(self.page(FRONTEND), instance=FRONTEND, namespace="kube")
        fake.scrape(self.page(WORKER), instance=WORKER, namespace="kube", pod="decode-1")

    async def instances(self):
        return [
            Instance(
                name="decode-1", role=Role.DECODE, state=InstanceState.READY,
                metrics_url=self.urls[WORKER],
            )
        ]  # fmt: skip

    async def frontends(self):
        return [self.urls[FRONTEND]]


@asynccontextmanager
async def through(fake, registry, *, replica="instance", model=None):
    api = PrometheusApi(Access(url=fake.url), timeout=10.0)
    scope = Scope(replica=replica, labels={"namespace": "kube"})
    pages = PrometheusPages(api, scope, max_age=15.0, interval=5.0)
    source = ScrapeSource(registry, PrometheusProcesses(pages, model=model))
    try:
        yield source
    finally:
        await source.close()


@asynccontextmanager
async def direct(deployment):
    """Yield a source that reads the same pages over HTTP."""

    async def answer(request):
        return web.Response(text=deployment.page(request.match_info["host"]))

    app = web.Application()
    app.router.add_get("/{host}/metrics", answer)
    server = TestServer(app)
    await server.start_server()
    served = Deployment()
    served.urls = {
        FRONTEND: str(server.make_url(f"/{FRONTEND}")),
        WORKER: str(server.make_url(f"/{WORKER}/metrics")),
    }
    source = ScrapeSource(served, ScrapedProcesses())
    try:
        yield source
    finally:
        await source.close()
        await server.close()


@pytest.mark.parametrize("replica", ["instance", "pod"])
async def test_it_is_what_the_pages_themselves_tell(fake, replica):
    deployment = Deployment(requests=3)
    if replica == "pod":
        deployment.scraped = lambda fake: scraped_by_pod(deployment, fake)
    async with direct(deployment) as pages, through(fake, deployment, replica=replica) as source:
        for number in range(3):
            deployment.serve(100 * number + 100, 10)
            deployment.scraped(fake)
            expected = await pages.observe(FLEET, now=5.0 * number)
            seen = await source.observe(FLEET, now=5.0 * number)
            assert replace(seen, age_seconds=0.0) == expected
    assert seen.traffic.arrived == 1
    assert seen.latencies.ttft == Quantiles(p50=0.05, p95=0.095, p99=0.099)
    assert 0.0089 < seen.latencies.itl.p50 < seen.latencies.itl.p99 < 0.0119
    assert seen.load[Role.DECODE].steps.prefilled == 1000
    assert source.in_flight == pages.in_flight == {"decode-1": 3}
    assert source.cold_start_seconds == 21.0
    assert source.scraped[0].url == f"http://{FRONTEND}/metrics"


def scraped_by_pod(deployment, fake):
    """Scrape a frontend that is known by its address alone, and a worker."""
    fake.now += 5.0
    fake.scrape(deployment.page(FRONTEND), instance=FRONTEND, namespace="kube")
    fake.scrape(deployment.page(WORKER), pod="decode-1", namespace="kube")


async def test_a_frontend_without_a_request_so_far_has_counted_none(fake):
    deployment = Deployment()
    async with through(fake, deployment) as source:
        for _ in range(2):
            deployment.scraped(fake)
            seen = await source.observe(FLEET, now=fake.now)
        assert (seen.traffic.arrived, seen.in_flight) == (0, 0)
        deployment.serve(1000, 100)
        deployment.scraped(fake)
        assert (await source.observe(FLEET, now=fake.now)).traffic.arrived == 1


async def test_nothing_new_is_unknown_traffic_and_known_load(fake):
    deployment = Deployment(requests=1)
    deployment.scraped(fake)
    deployment.scraped(fake)
    async with through(fake, deployment) as source:
        for _ in range(2):
            seen = await source.observe(FLEET, now=fake.now)
        assert seen.traffic is not None
        fake.now += 1
        seen = await source.observe(FLEET, now=fake.now)
        assert (seen.traffic, seen.load[Role.DECODE].steps) == (None, None)
        assert (seen.load[Role.DECODE].running, seen.age_seconds) == (7, 1.0)


async def test_a_frontend_that_is_not_reached_leaves_traffic_unknown(fake):
    deployment = Deployment(requests=1)
    async with through(fake, deployment) as source:
        for _ in range(2):
            deployment.scraped(fake)
            seen = await source.observe(FLEET, now=fake.now)
        assert seen.traffic is not None
        fake.now += 5
        fake.scrape(None, instance=FRONTEND, namespace="kube")
        fake.scrape(deployment.page(WORKER), instance=WORKER, namespace="kube", pod="decode-1")
        seen = await source.observe(FLEET, now=fake.now)
        assert (seen.traffic, seen.in_flight, seen.load[Role.DECODE].running) == (None, None, 7)


async def test_a_model_that_nothing_tells_of(fake):
    deployment = Deployment(requests=1)
    deployment.scraped(fake)
    async with through(fake, deployment, model="m") as source:
        assert (await source.observe(FLEET, now=0.0)).load[Role.DECODE].running == 7
    async with through(fake, deployment, model="n") as source:
        with pytest.raises(MetricsUnavailable, match="nothing tells of the model n") as caught:
            await source.observe(FLEET, now=0.0)
    assert caught.value.hint == "--model m"


class Bins:
    """Frontends that tell nothing but when requests arrived, one in each of 4 bins a second."""

    def __init__(self):
        self.end = 100.0
        self.since = []

    async def answer(self, request):
        since = float(request.query.get("since", self.end - 1))
        self.since.append(since)
        ones = [1] * round((self.end - since) / 0.25)
        return web.json_response(
            {"bin_seconds": 0.25, "end": self.end, "counts": ones, "isl": ones, "isl_squared": ones}
        )


@asynccontextmanager
async def telling(deployment):
    """Have *deployment* name one frontend, which tells bins; yield these, and its address."""
    bins = Bins()
    app = web.Application()
    app.router.add_get("/arrivals", bins.answer)
    server = TestServer(app)
    await server.start_server()
    address = f"127.0.0.1:{server.port}"

    async def frontends():
        return [f"http://{address}"]

    deployment.frontends = frontends
    try:
        yield bins, address
    finally:
        await server.close()


async def test_when_requests_arrived_the_frontends_are_asked(fake):
    deployment = Deployment(requests=1)
    async with telling(deployment) as (bins, address), through(fake, deployment) as source:
        for number in range(4):
            if number != 2:  # at the third look nothing new was scraped
                fake.now += 5
                fake.scrape(deployment.page(FRONTEND), instance=address, namespace="kube")
            bins.end += 5
            seen = await source.observe(FLEET, now=fake.now)
            if number == 2:
                assert seen.traffic is None
    assert sum(seen.traffic.arrivals.counts) == 40
    assert bins.since == [104.0, 105.0, 110.0, 110.0]


async def test_frontends_beyond_those_that_are_named_leave_arrivals_unknown(fake):
    deployment = Deployment(requests=1)
    async with (
        telling(deployment),
        through(fake, deployment, replica="pod") as source,
    ):
        for _ in range(3):
            fake.now += 5
            for pod in ("frontend-1", "frontend-2"):
                fake.scrape(deployment.page(FRONTEND), pod=pod, namespace="kube")
            seen = await source.observe(FLEET, now=fake.now)
    assert (seen.traffic.arrived, seen.traffic.arrivals) == (0, None)


async def test_a_frontend_that_is_scraped_no_longer_is_gone_at_once(fake):
    deployment = Deployment(requests=1)
    async with through(fake, deployment, replica="pod") as source:
        for number in range(3):
            fake.now += 5
            for pod in ("frontend-1", "frontend-2")[: 1 if number == 2 else 2]:
                fake.scrape(deployment.page(FRONTEND), pod=pod, namespace="kube")
            if number == 2:
                fake.forget(pod="frontend-2", namespace="kube")
            seen = await source.observe(FLEET, now=fake.now)
    assert seen.traffic is not None
