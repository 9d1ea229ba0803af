"""Servers of another make, seen through a Prometheus: the same as from their pages, or unknown."""

from contextlib import asynccontextmanager
from pathlib import Path

import pytest
from aiohttp import web
from aiohttp.test_utils import TestServer

from planner.core.observation import Replicas
from planner.core.role import Role
from planner.errors import MetricsUnavailable
from planner.ports import Instance, InstanceState
from planner.sources.prometheus.api import Access, PrometheusApi
from planner.sources.prometheus.pages import PrometheusPages
from planner.sources.prometheus.promql import Scope
from planner.sources.prometheus.servers import PrometheusServers
from planner.sources.server_pages import ServerPages
from planner.sources.servers import ListedServers, ServersSource

PAGES = Path(__file__).parents[1] / "sources" / "pages"
MAX_AGE = 15.0
HOSTS = ("h1:8000", "h2:8000")
ROLE = Role.AGGREGATED
FLEET = {ROLE: Replicas(ready=1)}


def page(name):
    return (PAGES / f"{name}.txt").read_text()


class Pods:
    """A registry of replicas that are known by name alone."""

    def __init__(self, *names):
        self.names = names

    async def instances(self):
        return [Instance(name=n, role=ROLE, state=InstanceState.READY) for n in self.names]

    async def frontends(self):
        return []


@asynccontextmanager
async def through(fake, registry, *, replica="instance", labels=None, **how):
    """Yield a source whose clock is five hours from that of *fake*."""
    api = PrometheusApi(Access(url=fake.url), timeout=10.0)
    scope = Scope(replica=replica, labels=labels or {})
    pages = PrometheusPages(api, scope, max_age=MAX_AGE, interval=5.0)
    servers = PrometheusServers(pages, **how)
    source = ServersSource(registry, servers, clock=lambda: fake.now - 18_000, patience=MAX_AGE)
    try:
        yield source
    finally:
        await source.close()


def listed(*hosts):
    return ListedServers({ROLE: [f"http://{host}" for host in hosts]})


async def look(fake, source):
    return await source.observe(FLEET, now=fake.now - 18_000)


def scrape(fake, *pages, after=5.0):
    """Have each of the hosts scraped, none of them at the same moment; end a second later."""
    fake.now += after - 1
    for host, name in zip(HOSTS, pages, strict=False):
        fake.scrape(None if name is None else page(name), instance=host, job="llm")
        fake.now += 0.5
    fake.now += 1 - 0.5 * len(pages)


@asynccontextmanager
async def scraped(shown):
    """Yield a source that reads the page that *shown* holds the name of, over HTTP."""

    async def answer(_request):
        return web.Response(text=page(shown[0]))

    app = web.Application()
    app.router.add_get("/metrics", answer)
    server = TestServer(app)
    await server.start_server()
    url = str(server.make_url("/metrics"))
    source = ServersSource(
        ListedServers({ROLE: [url]}), ServerPages(timeout=10.0), clock=lambda: 0.0
    )
    try:
        yield source
    finally:
        await source.close()
        await server.close()


ENGINES = [
    pytest.param("vllm_idle", "vllm_busy", id="vllm"),
    pytest.param("sglang", "sglang", id="sglang"),
    pytest.param("tensorrt_llm", "tensorrt_llm", id="tensorrt_llm"),
]


@pytest.mark.parametrize(("before", "after"), ENGINES)
async def test_it_is_what_the_pages_themselves_tell(fake, before, after):
    shown = [before]
    async with scraped(shown) as direct, through(fake, listed(HOSTS[0])) as source:
        for number, shown[0] in enumerate([before, after]):
            expected = await direct.observe(FLEET, now=5.0 * number)
            scrape(fake, shown[0])
            seen = await look(fake, source)
        assert seen.traffic == expected.traffic
        assert seen.traffic is not None
        assert seen.load == expected.load
        assert seen.in_flight == expected.in_flight
        assert seen.age_seconds == pytest.approx(1.0)


async def test_a_first_and_a_second_look_between_two_scrapes_know_the_traffic(fake):
    scrape(fake, "vllm_idle")
    scrape(fake, "vllm_busy")
    async with through(fake, listed(HOSTS[0])) as source:
        assert (await look(fake, source)).traffic is None
        fake.now += 1.0
        seen = await look(fake, source)
    assert (seen.traffic.seconds, seen.traffic.arrived) == (5.0, 32)
    assert seen.age_seconds == pytest.approx(2.0)


async def test_traffic_is_told_once_all_were_scraped_again(fake):
    scrape(fake, "vllm_idle", "vllm_idle")
    async with through(fake, listed(*HOSTS)) as source:
        await look(fake, source)
        scrape(fake, "vllm_busy")
        seen = await look(fake, source)
        assert (seen.traffic, seen.load[ROLE].running) == (None, 16)
        scrape(fake, "vllm_busy", "vllm_busy")
        seen = await look(fake, source)
    # Both of ten seconds: nothing was lost, and nothing told twice.
    assert (seen.traffic.seconds, seen.traffic.arrived) == (10.0, 64)


async def test_figures_older_than_the_limit_are_unknown(fake):
    scrape(fake, "vllm_idle", "vllm_idle")
    async with through(fake, listed(*HOSTS)) as source:
        await look(fake, source)
        for _ in range(3):
            scrape(fake, "vllm_busy")
            seen = await look(fake, source)
        assert seen.traffic is None  # the second is missing, and not yet gone
        assert seen.load[ROLE].running == 16
        scrape(fake, "vllm_busy", after=14.0)
        seen = await look(fake, source)
        assert (seen.load[ROLE].running, seen.traffic.seconds) == (16, 14.0)
        fake.now += MAX_AGE
        told = r"latest scrape in http://\S+ is 16s old, the limit is 15s"
        with pytest.raises(MetricsUnavailable, match=told) as caught:
            await look(fake, source)
        assert caught.value.hint == "--interval of two scrapes or more, or --max-age"


async def test_a_scrape_that_fails_counts_at_once(fake):
    scrape(fake, "vllm_idle", "vllm_idle")
    async with through(fake, listed(*HOSTS)) as source:
        await look(fake, source)
        scrape(fake, "vllm_busy", None)
        seen = await look(fake, source)
        assert (seen.traffic, seen.in_flight) == (None, 20)
        scrape(fake, None, None)
        told = r"reaches none of 2 targets with instance=h1:8000 or h2:8000"
        with pytest.raises(MetricsUnavailable, match=told):
            await look(fake, source)


async def test_a_server_that_restarted_counts_from_zero(fake):
    scrape(fake, "vllm_busy")
    async with through(fake, listed(HOSTS[0])) as source:
        await look(fake, source)
        scrape(fake, "vllm_idle")
        first = (await look(fake, source)).traffic
        assert first.arrived >= 0
        scrape(fake, "vllm_busy")
        assert (await look(fake, source)).traffic.arrived == 32


async def test_only_one_model_counts_and_a_wrong_one_is_told(fake):
    scrape(fake, "vllm_busy")
    async with through(fake, listed(HOSTS[0]), model="tiny") as source:
        assert (await look(fake, source)).load[ROLE].running == 16
    async with through(fake, listed(HOSTS[0]), model="tinny") as source:
        with pytest.raises(MetricsUnavailable, match="no server tells of the model tinny") as e:
            await look(fake, source)
    assert e.value.hint == "--model tiny"


async def test_pods_are_known_by_name_whatever_else_is_scraped(fake):
    here = {"namespace": "chat", "job": "vllm"}
    fake.scrape(page("vllm_busy"), pod="d-1", instance="10.0.0.1:8000", **here)
    fake.scrape("nothing 1\n", pod="d-1", instance="10.0.0.1:15090", **here)
    fake.scrape(page("vllm_busy"), pod="d-1", instance="x", namespace="other", job="vllm")
    fake.scrape(page("vllm_busy"), pod="d-9", instance="y", **here)
    labels = {"namespace": "chat"}
    async with through(fake, Pods("d-1"), replica="pod", labels=labels) as source:
        seen = await look(fake, source)
        assert (seen.load[ROLE].running, source.in_flight) == (16, {"d-1": 20})


async def test_what_is_found_twice_counts_once(fake):
    for job in ("a", "b"):
        fake.scrape(page("vllm_busy"), instance=HOSTS[0], job=job)
    async with through(fake, listed(HOSTS[0])) as source:
        assert (await look(fake, source)).in_flight == 20


async def test_targets_that_are_not_there_are_told(fake):
    fake.scrape(page("vllm_busy"), instance="elsewhere:1", job="vllm")
    async with through(fake, listed(HOSTS[0]), labels={"job": "vllm"}) as source:
        told = r"scrapes nothing with job=vllm and instance=h1:8000"
        with pytest.raises(MetricsUnavailable, match=told) as caught:
            await look(fake, source)
    assert "--prometheus-labels" in caught.value.hint


async def test_targets_without_the_names_of_a_server_are_told(fake):
    fake.scrape("go_goroutines 7\n", instance=HOSTS[0], job="vllm")
    async with through(fake, listed(HOSTS[0])) as source:
        with pytest.raises(MetricsUnavailable, match="1 targets are scraped and tell nothing of"):
            await look(fake, source)


async def test_scrapes_further_apart_than_looks_are_told_once(fake, caplog):
    for name in ("vllm_idle", "vllm_busy"):
        scrape(fake, name, after=10.0)
    async with through(fake, listed(HOSTS[0])) as source:
        for _ in range(3):
            await look(fake, source)
            fake.now += 1
    told = [one for one in caplog.messages if "further apart" in one]
    assert told == [
        "scrapes are further apart than decisions scrapes=10s decisions=5s hint=--interval"
    ]


async def test_a_registered_server_without_an_address_is_not_read(fake):
    async with through(fake, Pods("d-1")) as source:
        with pytest.raises(MetricsUnavailable, match="no server is ready"):
            await look(fake, source)
