"""Servers that planner did not start, on the loopback: what is read, and who is missing."""

import asyncio
import re
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
from aiohttp import web
from aiohttp.test_utils import TestServer

from planner.core.observation import Replicas
from planner.core.role import Role
from planner.errors import MetricsUnavailable
from planner.sources.engines.names import EngineKind
from planner.sources.scraped import ScrapedPage
from planner.sources.server_pages import ServerPages
from planner.sources.servers import ListedServers, ServersSource

PAGES = Path(__file__).parent / "pages"
FLEET = {Role.AGGREGATED: Replicas(ready=1)}


class Machine:
    """One server: the pages that it has, by path, and whether it answers."""

    def __init__(self, **pages):
        self.pages = {f"/{path.replace('_', '/')}": name for path, name in pages.items()}
        self.is_silent = False
        self.asked = []
        self.url = ""

    async def answer(self, request):
        self.asked.append(request.path)
        if self.is_silent:
            await asyncio.sleep(3600)
        name = self.pages.get(request.path)
        if name is None:
            raise web.HTTPNotFound
        path = PAGES / f"{name}.txt"
        return web.Response(text=path.read_text() if path.exists() else name)


class Clock:
    now = 100.0

    def __call__(self):
        return self.now


@asynccontextmanager
async def serving(*machines, roles=None, **how):
    """Yield a source that reads *machines*, all aggregated unless *roles* says otherwise."""
    tests = []
    for machine in machines:
        app = web.Application()
        app.router.add_get("/{path:.*}", machine.answer)
        server = TestServer(app)
        await server.start_server()
        machine.url = str(server.make_url("/")).rstrip("/")
        tests.append(server)
    urls = {}
    for machine, role in zip(machines, roles or [Role.AGGREGATED] * len(machines), strict=True):
        urls.setdefault(role, []).append(machine.url)
    clock = Clock()
    listed = ListedServers(urls)
    source = ServersSource(listed, ServerPages(timeout=0.3, **how), clock=clock, patience=15.0)
    source.clock = clock
    try:
        yield source
    finally:
        await source.close()
        await asyncio.gather(*(server.close() for server in tests))


async def look(source, *, after=5.0):
    source.clock.now += after
    fleet = await source.replicas()
    return await source.observe(fleet, now=source.clock.now)


async def test_what_vllm_served_between_two_recorded_pages():
    machine = Machine(metrics="vllm_idle")
    async with serving(machine) as source:
        first = await look(source)
        assert first.traffic is None
        assert first.fleet == {Role.AGGREGATED: Replicas(ready=1)}
        machine.pages["/metrics"] = "vllm_busy"
        seen = await look(source)
    traffic, load = seen.traffic, seen.load[Role.AGGREGATED]
    # 28 first tokens more than before, and 4 still wait.
    assert (traffic.seconds, traffic.arrived, traffic.finished) == (5, 32, 10)
    assert traffic.isl_sum == pytest.approx(32 * 3216 / 10)
    assert traffic.osl_sum == 2 * (4 + 16 + 32 + 32 + 64)
    assert (traffic.ttft_count, traffic.itl_count) == (28, 10)
    assert 0 < seen.latencies.ttft.p50 <= seen.latencies.ttft.p95 <= seen.latencies.ttft.p99
    assert 0 < seen.latencies.itl.p50 <= seen.latencies.itl.p99
    assert (load.running, load.waiting, load.waiting_tokens, load.steps) == (16, 4, None, None)
    assert load.kv_usage == pytest.approx(0.0802, abs=1e-4)
    assert seen.in_flight == 20


async def test_a_page_read_for_the_replicas_serves_the_observation_too():
    machine = Machine(metrics="vllm_idle")
    async with serving(machine) as source:
        await look(source)
        machine.asked.clear()
        await look(source)
        assert machine.asked == ["/metrics"]
        await source.observe(FLEET, now=200.0)
        assert machine.asked == ["/metrics"] * 2


async def test_each_server_is_read_as_what_it_is():
    machines = [
        Machine(metrics="vllm_busy"),
        Machine(metrics="sglang"),
        Machine(prometheus_metrics="tensorrt_llm", metrics="[]"),
    ]
    async with serving(*machines) as source:
        await look(source)
        seen = await look(source)
    assert seen.fleet == {Role.AGGREGATED: Replicas(ready=3)}
    load = seen.load[Role.AGGREGATED]
    assert (load.running, load.waiting) == (16 + 7 + 6, 4 + 3 + 1)
    assert load.kv_usage == pytest.approx((0.0802 + 0.28 + 0.4) / 3, abs=1e-4)
    assert seen.traffic.arrived == 0
    # TensorRT-LLM's /metrics tells each figure only once: nobody else's are taken.
    assert set(machines[2].asked) == {"/prometheus/metrics"}
    paths = ["/metrics", "/metrics", "/prometheus/metrics"]
    assert source.scraped == [
        ScrapedPage(url=f"{one.url}{path}", role=Role.AGGREGATED, name=one.url)
        for one, path in zip(machines, paths, strict=True)
    ]


async def test_a_url_with_a_path_is_the_page():
    machine = Machine(somewhere="vllm_idle")
    async with serving(machine) as source:
        page = f"{machine.url}/somewhere"
        source._registry = ListedServers({Role.AGGREGATED: [page]})
        assert source.scraped == []
        assert (await look(source)).fleet == FLEET
        assert source.scraped == [ScrapedPage(url=page, role=Role.AGGREGATED, name=page)]


async def test_the_kind_can_be_forced():
    machine = Machine(prometheus_metrics="# nothing counted yet\n")
    async with serving(machine, engine=EngineKind.TENSORRT_LLM) as source:
        seen = await look(source)
        assert seen.fleet == FLEET
        load = seen.load[Role.AGGREGATED]
        assert (load.running, load.waiting, load.kv_usage, seen.in_flight) == (None,) * 4
        assert (await look(source)).traffic is None


async def test_only_one_model_counts():
    machine = Machine(metrics="vllm_busy")
    async with serving(machine, model="other") as source:
        assert (await look(source)).load[Role.AGGREGATED].running is None
    async with serving(machine, model="tiny") as source:
        assert (await look(source)).load[Role.AGGREGATED].running == 16


async def test_prefill_and_decode_are_told_apart():
    machines = [Machine(metrics="vllm_idle"), Machine(metrics="vllm_busy")]
    async with serving(*machines, roles=[Role.PREFILL, Role.DECODE]) as source:
        seen = await look(source)
    assert seen.fleet == {Role.PREFILL: Replicas(ready=1), Role.DECODE: Replicas(ready=1)}
    assert {role: load.running for role, load in seen.load.items()} == {
        Role.PREFILL: 0, Role.DECODE: 16,
    }  # fmt: skip


async def test_while_one_is_silent_the_traffic_is_unknown_until_it_is_gone(caplog):
    machines = [Machine(metrics="vllm_idle"), Machine(metrics="vllm_idle")]
    async with serving(*machines) as source:
        await look(source)
        assert (await look(source)).traffic is not None
        machines[1].is_silent = True
        seen = await look(source)
        assert (seen.traffic, seen.fleet[Role.AGGREGATED].ready) == (None, 2)
        assert seen.latencies is None
        seen = await look(source, after=12.0)
        assert (seen.traffic.seconds, seen.fleet[Role.AGGREGATED].ready) == (12, 1)
        assert caplog.messages == [f"servers silent urls={machines[1].url}"]
        machines[1].is_silent = False
        seen = await look(source)
        assert (seen.traffic.arrived, seen.fleet[Role.AGGREGATED].ready) == (0, 2)


async def test_nothing_is_seen_of_nobody():
    machine = Machine(metrics="up 1\n")
    async with serving(machine) as source:
        where = re.escape(f"none of 1 servers told metrics in 0.3s: {machine.url}")
        with pytest.raises(MetricsUnavailable, match=where):
            await source.replicas()
        with pytest.raises(MetricsUnavailable, match=where):
            await source.observe(FLEET, now=1.0)


async def test_another_server_may_come_back_at_the_same_address():
    machine, other = Machine(metrics="vllm_busy"), Machine(metrics="vllm_idle")
    async with serving(machine, other) as source:
        await look(source)
        machine.pages = {}
        await look(source)
        machine.pages = {"/prometheus/metrics": "tensorrt_llm"}
        assert (await look(source)).load[Role.AGGREGATED].running == 6
