"""Figures out of a real Prometheus: the same as from the pages that it scrapes, or unknown."""

import asyncio
import json
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
from aiohttp import web
from aiohttp.test_utils import TestServer
from prometheus import MISSING, Prometheus, find_prometheus, running_prometheus, scraping

from planner.cli.control.registry import StoreRegistry
from planner.core.observation import Observation, Replicas
from planner.core.role import Role
from planner.errors import MetricsUnavailable
from planner.journal import Journal, Query
from planner.sources.prometheus.api import Access, PrometheusApi
from planner.sources.prometheus.pages import PrometheusPages
from planner.sources.prometheus.promql import Scope
from planner.sources.prometheus.servers import PrometheusServers
from planner.sources.server_pages import ServerPages
from planner.sources.servers import ListedServers, ServersSource
from runtime.discovery.open import open_store

pytestmark = [
    pytest.mark.e2e,
    pytest.mark.skipif(find_prometheus() is None, reason=MISSING),
]

PAGES = Path(__file__).parents[1] / "unit" / "sources" / "pages"
ROLE = Role.AGGREGATED
FLEET = {ROLE: Replicas(ready=1)}
EVERY = 0.2
MAX_AGE = 2.0


class Server:
    """One whose page is what it is told to be."""

    def __init__(self) -> None:
        self.shown = "vllm_idle"
        self.url = ""

    @property
    def address(self) -> str:
        return self.url.removeprefix("http://")

    async def answer(self, _request: web.Request) -> web.Response:
        if self.shown == "nothing":
            raise web.HTTPServiceUnavailable
        return web.Response(text=(PAGES / f"{self.shown}.txt").read_text())


@asynccontextmanager
async def serving(count: int) -> AsyncIterator[list[Server]]:
    found: list[Server] = []
    tests: list[TestServer] = []
    try:
        for _ in range(count):
            server = Server()
            app = web.Application()
            app.router.add_get("/metrics", server.answer)
            tests.append(test := TestServer(app))
            await test.start_server()
            server.url = str(test.make_url("/")).rstrip("/")
            found.append(server)
        yield found
    finally:
        await asyncio.gather(*(test.close() for test in tests))


@asynccontextmanager
async def through(prometheus: Prometheus, servers: list[Server]) -> AsyncIterator[ServersSource]:
    api = PrometheusApi(Access(url=prometheus.url), timeout=5.0)
    pages = PrometheusPages(api, Scope(replica="instance"), max_age=MAX_AGE, interval=EVERY)
    source = ServersSource(
        ListedServers({ROLE: [server.url for server in servers]}),
        PrometheusServers(pages),
        clock=asyncio.get_running_loop().time,
        patience=MAX_AGE,
    )
    try:
        yield source
    finally:
        await source.close()


async def scraped(prometheus: Prometheus, *servers: Server, times: int = 2) -> None:
    """Wait until each was scraped so often."""
    for server in servers:
        enough = f'count_over_time(up{{instance="{server.address}"}}[1m]) >= {times}'
        await prometheus.until(enough)


async def showing(prometheus: Prometheus, server: Server, page: str, *, running: int) -> None:
    """Have *server* show *page*, and wait until Prometheus has seen it."""
    server.shown = page
    seen = f'vllm:num_requests_running{{instance="{server.address}"}} == {running}'
    await prometheus.until(seen)


async def look(source: ServersSource) -> Observation:
    return await source.observe(FLEET, now=asyncio.get_running_loop().time())


async def test_it_is_what_the_page_itself_tells(tmp_path: Path) -> None:
    async with serving(1) as (server,):
        config = scraping({"llm": [server.address]}, interval=EVERY)
        direct = ServersSource(
            ListedServers({ROLE: [server.url]}), ServerPages(timeout=5.0), clock=lambda: 0.0
        )
        async with (
            running_prometheus(tmp_path, config) as prometheus,
            through(prometheus, [server]) as source,
        ):
            await scraped(prometheus, server)
            await look(source)
            await direct.observe(FLEET, now=0.0)
            before = asyncio.get_running_loop().time()
            await showing(prometheus, server, "vllm_busy", running=16)
            seen = await look(source)
            took = asyncio.get_running_loop().time() - before
            expected = await direct.observe(FLEET, now=seen.traffic.seconds if seen.traffic else 1)
            assert seen.traffic == expected.traffic
            assert seen.traffic is not None
            assert seen.traffic.arrived == 32
            assert seen.traffic.seconds < took + 3 * EVERY
            assert seen.load == expected.load
            assert 0 <= seen.age_seconds < MAX_AGE
            await showing(prometheus, server, "vllm_idle", running=0)
            assert (await look(source)).traffic is not None  # it restarted: that is no fall
            await showing(prometheus, server, "vllm_busy", running=16)
            again = (await look(source)).traffic
            assert again is not None
            assert again.arrived == 32
        await direct.close()


async def test_what_is_lost_is_unknown_and_never_zero(tmp_path: Path) -> None:
    async with serving(2) as servers:
        second = servers[1]
        listed = tmp_path / "targets.json"
        list_targets(listed, servers)
        config = {
            "global": {"scrape_interval": "200ms"},
            "scrape_configs": [{"job_name": "llm", "file_sd_configs": [{"files": [str(listed)]}]}],
        }
        async with (
            running_prometheus(tmp_path, config) as prometheus,
            through(prometheus, servers) as source,
        ):
            await scraped(prometheus, *servers)
            await look(source)
            await scraped(prometheus, *servers, times=6)
            assert (await look(source)).traffic is not None

            second.shown = "nothing"
            await prometheus.until(f'up{{instance="{second.address}"}} == 0')
            seen = await look(source)
            assert (seen.traffic, seen.in_flight) == (None, 0)

            list_targets(listed, [])
            await lost(source, "scrapes nothing with instance=")


async def test_what_prometheus_only_remembers_is_unknown(tmp_path: Path) -> None:
    async with serving(1) as (server,):
        config = scraping({"llm": [server.address]}, interval=30.0)
        async with (
            running_prometheus(tmp_path, config) as prometheus,
            through(prometheus, [server]) as source,
        ):
            await scraped(prometheus, server, times=1)
            await lost(source, "s old, the limit is 2s")
            assert await prometheus.query("vllm:num_requests_running")  # who asks so, gets that


async def lost(source: ServersSource, why: str) -> None:
    """Wait until nothing is known, and that is said to be *why*."""
    async with asyncio.timeout(20):
        while True:
            try:
                await look(source)
            except MetricsUnavailable as error:
                if why in str(error):
                    return
            await asyncio.sleep(EVERY)


def list_targets(file: Path, servers: list[Server]) -> None:
    """Tell Prometheus to scrape *servers* from now on."""
    new = file.with_suffix(".new")
    new.write_text(json.dumps([{"targets": [server.address for server in servers]}]))
    new.replace(file)


def steady_load() -> Iterator[dict[str, int]]:
    """Yield 4 requests/s of 3,000 tokens: prefill of 1.1 s a second for qwen3-32b on one GPU."""
    for number in range(100):
        yield {"timestamp": 250 * number, "input_length": 3000, "output_length": 20}


@asynccontextmanager
async def prometheus_of(machine, folder: Path) -> AsyncIterator[Prometheus]:
    """Yield a Prometheus that scrapes every process of the deployment on *machine*.

    Its targets have the labels that the planner lists them with, and honour those of workers.
    """
    store = await open_store(machine.spec.store_url)
    registry = StoreRegistry(store, machine.spec.namespace)
    named = {i.metrics_url or "": {"name": i.name} for i in await registry.instances()}
    named |= {url: {} for url in await registry.frontends()}
    await registry.close()
    await store.close()
    targets = [
        {"targets": [url.removeprefix("http://").partition("/")[0]], "labels": labels}
        for url, labels in named.items()
    ]
    job = {"job_name": "planner", "honor_labels": True, "static_configs": targets}
    config = {"global": {"scrape_interval": "1s"}, "scrape_configs": [job]}
    async with running_prometheus(folder, config) as prometheus:
        await prometheus.until(f"sum(up) == {len(targets)}")
        yield prometheus


def decided(journal: Path) -> tuple[dict[Role, int], float]:
    """Return the last replicas that were decided on, and the requests per second until then."""
    with Journal.read(journal) as opened:
        entries = [record.entry for record in opened.query(Query())]  # the latest first
    seen = [e.observation.traffic for e in entries if e.observation and e.observation.traffic]
    plan = next(entry.plan for entry in entries if entry.plan)
    return dict(plan.desired), sum(one.arrived for one in seen) / sum(one.seconds for one in seen)


async def test_a_planner_decides_on_it_as_on_the_pages(machine, tmp_path: Path) -> None:
    flags = ("--planner=off", "--profile=qwen3-32b-h200", "--sla=ttft=500ms,itl=40ms")
    async with machine.serving(*flags), prometheus_of(machine, tmp_path / "p") as prometheus:
        journals = {"pages": tmp_path / "pages.sqlite", "prometheus": tmp_path / "prom.sqlite"}
        observing = ("run", "--observe", "--interval=2s")
        async with machine.loaded(steady_load(), tmp_path / "load") as load:
            planners = [
                await machine.start(*observing, f"--journal={journals['pages']}"),
                await machine.start(
                    *observing, f"--journal={journals['prometheus']}",
                    f"--prometheus={prometheus.url}", "--prometheus-replica=name",
                ),
            ]  # fmt: skip
            await asyncio.sleep(18)
            ended = [await machine.finish(planner) for planner in planners]
            await load.requests()
    assert [code for code, _ in ended] == [0, 0]
    assert "turn failed" not in ended[1][1]
    replicas, rate = decided(journals["pages"])
    through, scraped_rate = decided(journals["prometheus"])
    assert scraped_rate == pytest.approx(rate, rel=0.1)
    assert through == replicas
    assert replicas[Role.PREFILL] > 1
