"""Scraping real pages over loopback HTTP: what is read, and what happens to the silent."""

import asyncio
from contextlib import asynccontextmanager

import pytest
from aiohttp import web
from aiohttp.test_utils import TestServer
from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest

from planner.core.observation import Latencies, Quantiles, Replicas, StepSums
from planner.core.role import Role
from planner.errors import MetricsUnavailable
from planner.ports import Instance, InstanceState
from planner.sources.processes import ScrapedProcesses
from planner.sources.scrape import ScrapeSource
from planner.sources.scraped import ScrapedPage
from workers.engine import EngineStats, StepTotals
from workers.metrics import WorkerMetrics

FLEET = {Role.PREFILL: Replicas(ready=1), Role.DECODE: Replicas(ready=2)}


class Directory:
    """A registry of what a test started."""

    def __init__(self):
        self.workers = []
        self.urls = []

    async def instances(self):
        return self.workers

    async def frontends(self):
        return self.urls


class Frontend:
    """The counters of a frontend, as one of ours exposes them."""

    def __init__(self):
        self.registry = CollectorRegistry()
        made = {"labelnames": ["model"], "registry": self.registry}
        name = "planner_frontend_"
        self.isl = Histogram(f"{name}input_sequence_tokens", "x", **made).labels("m")
        self.osl = Histogram(f"{name}output_sequence_tokens", "x", **made).labels("m")
        self.ttft = Histogram(f"{name}time_to_first_token_seconds", "x", **made).labels("m")
        self.itl = Histogram(f"{name}inter_token_latency_seconds", "x", **made)
        self.squared = Counter(f"{name}input_sequence_tokens_squared", "x", **made).labels("m")
        self.context = Counter(f"{name}context_output_tokens", "x", **made).labels("m")
        self.within = Counter(f"{name}requests_within_sla", "x", **made).labels("m")
        self.requests = Counter(f"{name}requests", "x", ["model", "status"], registry=self.registry)
        self.inflight = Gauge(f"{name}inflight_requests", "x", **made).labels("m")

    def serve(self, isl, osl):
        self.isl.observe(isl)
        self.squared.inc(isl**2)
        self.osl.observe(osl)
        self.context.inc((isl + osl / 2) * osl)
        self.requests.labels("m", "success").inc()
        self.ttft.observe(0.1)
        self.within.inc()


def worker_page(**gauges):
    registry = CollectorRegistry()
    for name, value in gauges.items():
        Gauge(f"planner_worker_{name}", "x", ["model"], registry=registry).labels("m").set(value)
    return registry


@asynccontextmanager
async def serving(directory):
    """Yield `add(registry)`, which puts a metrics page on the loopback and returns its server."""
    servers = []

    async def add(registry):
        async def metrics(_request):
            answer = registry() if callable(registry) else registry
            if asyncio.iscoroutine(answer):
                answer = await answer
            return web.Response(body=generate_latest(answer))

        app = web.Application()
        app.router.add_get("/metrics", metrics)
        server = TestServer(app)
        await server.start_server()
        servers.append(server)
        return server

    source = ScrapeSource(directory, ScrapedProcesses(timeout=0.3))
    try:
        yield source, add
    finally:
        await source.close()
        await asyncio.gather(*(server.close() for server in servers))


def instance(name, role, server, state=InstanceState.READY):
    return Instance(name=name, role=role, state=state, metrics_url=str(server.make_url("/metrics")))


async def hang():
    await asyncio.sleep(3600)


async def test_two_frontends_add_up_over_the_interval():
    directory, first, second = Directory(), Frontend(), Frontend()
    async with serving(directory) as (source, add):
        for frontend in (first, second):
            directory.urls.append(str((await add(frontend.registry)).make_url("/")))
        first.serve(isl=5000, osl=500)
        assert (await source.observe(FLEET, now=10.0)).traffic is None

        first.serve(isl=100, osl=10)
        second.serve(isl=300, osl=30)
        for status in ("error", "invalid", "disconnected"):
            second.requests.labels("m", status).inc()
        second.inflight.set(4)
        seen = await source.observe(FLEET, now=15.0)

    traffic = seen.traffic
    assert (seen.at, seen.fleet, seen.in_flight) == (15.0, FLEET, 4)
    assert (traffic.seconds, traffic.arrived, traffic.finished, traffic.failed) == (5.0, 2, 2, 1)
    assert (traffic.isl_sum, traffic.isl_squared_sum) == (400.0, 100_000.0)
    assert (traffic.osl_sum, traffic.context_osl_sum) == (40.0, 105 * 10 + 315 * 30)
    assert (traffic.ttft_count, traffic.itl_count, traffic.within_sla) == (2, 0, 2)
    assert traffic.ttft_sum == pytest.approx(0.2)


def spread(seen):
    ttft = seen.latencies.ttft
    return pytest.approx((ttft.p50, ttft.p95, ttft.p99))


async def test_quantiles_are_of_the_requests_of_all_frontends_in_the_interval():
    directory, first, second = Directory(), Frontend(), Frontend()
    async with serving(directory) as (source, add):
        for frontend in (first, second):
            directory.urls.append(str((await add(frontend.registry)).make_url("/")))
        for _ in range(1000):  # before the first look, so that they do not count
            first.ttft.observe(9.0)
        assert (await source.observe(FLEET, now=10.0)).latencies is None
        assert (await source.observe(FLEET, now=15.0)).latencies is None  # nothing was measured

        # 60 up to 0.1 s and 40 up to 0.25 s; one frontend has no series of ITL yet.
        for frontend, amount, times in ((first, 0.09, 60), (second, 0.2, 40)):
            for _ in range(times):
                frontend.ttft.observe(amount)
        for _ in range(4):
            first.itl.labels("m").observe(0.004)
        seen = await source.observe(FLEET, now=20.0)
    assert spread(seen) == (0.075 + 0.025 * 50 / 60, 0.1 + 0.15 * 35 / 40, 0.1 + 0.15 * 39 / 40)
    assert seen.latencies.itl == Quantiles(p50=0.0025, p95=0.00475, p99=0.00495)


async def test_a_frontend_that_restarted_tells_what_it_counted_since():
    directory, frontends = Directory(), [Frontend()]
    async with serving(directory) as (source, add):
        directory.urls.append(str((await add(lambda: frontends[-1].registry)).make_url("/")))
        for _ in range(100):
            frontends[0].serve(isl=10, osl=10)
        await source.observe(FLEET, now=0.0)
        frontends.append(Frontend())
        frontends[-1].ttft.observe(0.3)
        seen = await source.observe(FLEET, now=5.0)
    assert spread(seen) == (0.375, 0.4875, 0.4975)


async def test_a_silent_frontend_leaves_latencies_unknown_until_it_covers_the_gap():
    directory, first, second, away = Directory(), Frontend(), Frontend(), asyncio.Event()

    async def page():
        if away.is_set():
            await hang()
        return second.registry

    async with serving(directory) as (source, add):
        for shown in (first.registry, page):
            directory.urls.append(str((await add(shown)).make_url("/")))
        await source.observe(FLEET, now=0.0)
        away.set()
        first.serve(isl=10, osl=10)
        second.serve(isl=10, osl=10)
        seen = await source.observe(FLEET, now=5.0)
        assert (seen.traffic.arrived, seen.latencies) == (1, None)
        away.clear()
        assert (await source.observe(FLEET, now=10.0)).latencies == Latencies(
            ttft=Quantiles(p50=0.0875, p95=0.09875, p99=0.09975)
        )


async def test_a_frontend_without_buckets_leaves_latencies_unknown():
    directory, frontend = Directory(), Frontend()

    def without():
        families = [one for one in frontend.registry.collect() if "time_to_first" in one.name]
        for one in families:
            one.samples = [s for s in one.samples if not s.name.endswith("_bucket")]
        return type("Shown", (), {"collect": lambda _: families})()

    async with serving(directory) as (source, add):
        directory.urls.append(str((await add(without)).make_url("/")))
        await source.observe(FLEET, now=0.0)
        frontend.serve(isl=10, osl=10)
        assert (await source.observe(FLEET, now=5.0)).latencies is None


async def test_a_frontend_without_a_counter_makes_traffic_unknown():
    directory = Directory()
    async with serving(directory) as (source, add):
        bare = CollectorRegistry()
        Counter("planner_frontend_requests", "x", ["status"], registry=bare)
        directory.urls.append(str((await add(bare)).make_url("/")))
        await source.observe(FLEET, now=0.0)
        assert (await source.observe(FLEET, now=5.0)).traffic is None


async def test_load_by_role_of_those_that_serve():
    directory = Directory()
    async with serving(directory) as (source, add):
        d1 = worker_page(
            requests_waiting=2, waiting_prompt_tokens=900, requests_running=10,
            kv_blocks_used=50, kv_blocks_total=100, prefill_queue_depth=7, in_flight_requests=12,
        )  # fmt: skip
        d2 = worker_page(
            requests_waiting=1, waiting_prompt_tokens=100, requests_running=4,
            kv_blocks_used=10, kv_blocks_total=100, prefill_queue_depth=8, in_flight_requests=5,
        )  # fmt: skip
        d3 = worker_page(requests_waiting=50, requests_running=9, in_flight_requests=59)
        p1 = worker_page(requests_waiting=1, requests_running=3, in_flight_requests=4)
        directory.workers = [
            instance("decode-1", Role.DECODE, await add(d1)),
            instance("decode-2", Role.DECODE, await add(d2)),
            instance("decode-3", Role.DECODE, await add(d3), InstanceState.DRAINING),
            instance("prefill-1", Role.PREFILL, await add(p1)),
        ]
        seen = await source.observe(FLEET, now=0.0)

    decode, prefill = seen.load[Role.DECODE], seen.load[Role.PREFILL]
    assert (decode.waiting, decode.waiting_tokens, decode.running) == (3, 1000, 14)
    assert decode.kv_usage == pytest.approx(0.3)
    assert (prefill.waiting, prefill.waiting_tokens, prefill.running) == (5, None, 3)
    assert prefill.kv_usage is None
    assert source.in_flight == {"decode-1": 12, "decode-2": 5, "decode-3": 59, "prefill-1": 4}


class Engine:
    """The page of a worker whose engine tells what it computes, or does not."""

    def __init__(self, name, *, tells=True):
        metrics = WorkerMetrics(model="m", namespace="n", component="decode", instance=name)
        metrics.read(stats=self.stats, in_flight=lambda: 0, queue_depth=lambda: None)
        self.registry = metrics.registry
        self.observe_step = metrics.observe_step
        self.tells = tells
        self.runs = 0

    def run(self, times=1):
        for _ in range(times):
            self.observe_step(0.5)
            self.observe_step(1.5)
            self.runs += 1

    def stats(self):
        steps = StepTotals(
            prefill_steps=1 * self.runs,
            decoded_tokens=300 * self.runs,
            kv_tokens_read=90_000 * self.runs,
            prefilled_tokens=1000 * self.runs,
            prefilled_squared_tokens=500_000 * self.runs,
        )
        figures = dict.fromkeys(EngineStats.__dataclass_fields__, 0)
        return EngineStats(**figures | {"steps": steps if self.tells else None, "transfers": None})


async def steps_after(engines, between, *, replaced=None):
    """Look, let *between* happen, look again; return what decode's engines computed meanwhile."""
    directory, shown = Directory(), list(engines)
    async with serving(directory) as (source, add):
        directory.workers = [
            instance(f"decode-{index}", Role.DECODE, await add(lambda i=index: shown[i].registry))
            for index in range(len(shown))
        ]
        assert (await source.observe(FLEET, now=0.0)).load[Role.DECODE].steps is None
        between()
        if replaced is not None:
            shown[0] = replaced
        return (await source.observe(FLEET, now=5.0)).load[Role.DECODE].steps


def sums(times):
    return StepSums(
        seconds=2.0 * times,
        steps=2 * times,
        prefill_steps=times,
        decoded=300 * times,
        kv_tokens=90_000 * times,
        prefilled=1000 * times,
        prefilled_squared=500_000 * times,
    )


async def test_what_the_engines_of_a_role_computed_between_two_looks():
    first, second = Engine("1"), Engine("2")
    first.run(5)

    def between():
        first.run()
        second.run(2)

    assert await steps_after([first, second], between) == sums(3)


async def test_idle_engines_computed_nothing():
    assert await steps_after([Engine("1")], lambda: None) == sums(0)


async def test_one_engine_that_does_not_tell_makes_the_sums_unknown():
    first, second = Engine("1"), Engine("2", tells=False)
    assert await steps_after([first, second], first.run) is None


async def test_an_engine_that_restarted_counts_from_zero():
    before, after = Engine("1"), Engine("2")
    before.run(7)
    assert await steps_after([before], lambda: after.run(2), replaced=after) == sums(2)


async def test_the_queue_is_known_while_no_prefill_worker_is_there():
    directory = Directory()
    async with serving(directory) as (source, add):
        server = await add(worker_page(prefill_queue_depth=6))
        directory.workers = [instance("decode-1", Role.DECODE, server)]
        seen = await source.observe(FLEET, now=0.0)
    assert seen.load[Role.PREFILL].waiting == 6


async def test_one_silent_worker_blocks_nobody():
    directory = Directory()
    async with serving(directory) as (source, add):
        directory.workers = [
            instance("decode-1", Role.DECODE, await add(worker_page(requests_running=3))),
            instance("decode-2", Role.DECODE, await add(hang)),
        ]
        async with asyncio.timeout(2):
            seen = await source.observe(FLEET, now=0.0)
    assert seen.load[Role.DECODE].running == 3
    assert source.in_flight == {}


async def test_silent_frontends_leave_traffic_unknown_and_the_return_covers_the_gap():
    directory, frontend, away = Directory(), Frontend(), asyncio.Event()

    async def page():
        if away.is_set():
            await hang()
        return frontend.registry

    async with serving(directory) as (source, add):
        directory.urls.append(str((await add(page)).make_url("/")))
        directory.workers = [
            instance("decode-1", Role.DECODE, await add(worker_page(requests_running=3)))
        ]
        await source.observe(FLEET, now=0.0)
        away.set()
        frontend.serve(isl=10, osl=10)
        assert (await source.observe(FLEET, now=5.0)).traffic is None
        away.clear()
        traffic = (await source.observe(FLEET, now=10.0)).traffic
    assert (traffic.seconds, traffic.arrived) == (10.0, 1)


async def test_nothing_readable_is_metrics_unavailable():
    directory = Directory()
    async with serving(directory) as (source, add):
        with pytest.raises(MetricsUnavailable, match="no frontend and no worker is registered"):
            await source.observe(FLEET, now=0.0)
        server = await add(hang)
        directory.workers = [instance("decode-1", Role.DECODE, server)]
        directory.urls = ["http://127.0.0.1:9/"]
        with pytest.raises(MetricsUnavailable, match=r"none of 2 metrics pages answered in 0\.3s"):
            await source.observe(FLEET, now=0.0)


async def test_whose_pages_are_read_is_told_also_of_the_silent():
    directory = Directory()
    async with serving(directory) as (source, add):
        assert source.scraped == []
        frontend, silent = await add(Frontend().registry), await add(hang)
        directory.urls.append(str(frontend.make_url("/")))
        directory.workers = [instance("decode-1", Role.DECODE, silent)]
        await source.observe(FLEET, now=0.0)
        assert source.scraped == [
            ScrapedPage(url=str(frontend.make_url("/metrics"))),
            ScrapedPage(url=str(silent.make_url("/metrics")), role=Role.DECODE, name="decode-1"),
        ]
