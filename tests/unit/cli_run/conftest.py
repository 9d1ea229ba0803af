"""A deployment that exists in memory and on the loopback, for commands that look at one."""

import asyncio
import itertools
import threading
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager

import pytest
from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, start_http_server

from runtime.discovery.open import open_store
from runtime.instance import InstanceRecord, encode_record

_names = itertools.count()


class Page:
    """One process' metrics on the loopback, served from a thread."""

    def __init__(self):
        self.registry = CollectorRegistry()
        self._server, self._thread = start_http_server(0, "127.0.0.1", registry=self.registry)
        self.url = f"http://127.0.0.1:{self._server.server_port}"

    def close(self):
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()


class FrontendPage(Page):
    """A frontend that keeps getting requests until it is closed."""

    def __init__(self, *, rate_rps):
        super().__init__()
        self._stop = threading.Event()
        self._rate_rps = rate_rps
        made = {"labelnames": ["model"], "registry": self.registry}
        name = "planner_frontend_"
        self._histograms = {
            Histogram(f"{name}{what}", "x", **made).labels("m"): value
            for what, value in {
                "input_sequence_tokens": 3000, "output_sequence_tokens": 300,
                "time_to_first_token_seconds": 0.1, "inter_token_latency_seconds": 0.01,
            }.items()
        }  # fmt: skip
        self._counters = {
            Counter(f"{name}{what}", "x", **made).labels("m"): value
            for what, value in {
                "input_sequence_tokens_squared": 3000**2,
                "context_output_tokens": 3150 * 300,
                "requests_within_sla": 1,
            }.items()
        }
        requests = Counter(f"{name}requests", "x", ["model", "status"], registry=self.registry)
        self._counters[requests.labels("m", "success")] = 1
        self._thread_of_users = threading.Thread(target=self._serve)
        self._thread_of_users.start()

    def _serve(self):
        while not self._stop.wait(1 / self._rate_rps):
            for histogram, value in self._histograms.items():
                histogram.observe(value)
            for counter, value in self._counters.items():
                counter.inc(value)

    def close(self):
        self._stop.set()
        self._thread_of_users.join()
        super().close()


class WorkerPage(Page):
    """A worker with a few requests."""

    def __init__(self):
        super().__init__()
        for name, value in {"requests_waiting": 0, "requests_running": 2, "kv_blocks_used": 10,
                            "kv_blocks_total": 100, "in_flight_requests": 2}.items():  # fmt: skip
            Gauge(f"planner_worker_{name}", "x", registry=self.registry).set(value)


def record(component, instance_id, **metadata):
    return InstanceRecord(
        namespace="test", component=component, endpoint="generate", instance_id=instance_id,
        subject=f"s{instance_id}", metadata=metadata,
    )  # fmt: skip


async def register(store, *records):
    for one in records:
        await store.put(one.key, encode_record(one))


@contextmanager
def _deployed(*, prefill=1, decode=1, rate_rps=40.0):
    """Yield the flags that find a deployment of that many workers under that load."""
    url = f"memory:cli-run-{next(_names)}"
    frontend = FrontendPage(rate_rps=rate_rps)
    pages = [frontend]
    records = [record("frontend", 1, url=frontend.url)]
    for role, count in {"prefill": prefill, "decode": decode}.items():
        for index in range(1, count + 1):
            page = WorkerPage()
            pages.append(page)
            name = f"{role}-{index}"
            records.append(
                record(role, len(pages), name=name, role=role, metrics_url=f"{page.url}/metrics")
            )

    async def publish():
        await register(await open_store(url), *records)

    asyncio.run(publish())
    try:
        yield ["--store", url, "--namespace", "test", "--profile", "llama-3.1-8b-fp8-h200"]
    finally:
        with ThreadPoolExecutor(len(pages)) as pool:  # each takes half a second to notice
            list(pool.map(lambda page: page.close(), pages))


@pytest.fixture
def deployed():
    """Return the context manager that puts a deployment up."""
    return _deployed


@pytest.fixture(autouse=True)
def own_state(tmp_path, monkeypatch):
    """Keep commands away from whatever deployment runs on this machine."""
    monkeypatch.setenv("PLANNER_STATE_DIR", str(tmp_path))
    return tmp_path
