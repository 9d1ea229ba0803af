"""What is counted: exact against the SLA, nothing twice, nothing left in flight."""

import asyncio
import contextlib

import pytest

from runtime.errors import PrefillFailed
from runtime.frontend.errors import ApiError
from runtime.frontend.frontend import FrontendOptions
from runtime.frontend.measure import Measure
from runtime.frontend.metrics import FrontendMetrics
from runtime.frontend.relay import RelayLimits
from runtime.frontend.sla import Targets, edges_around

MODEL = "tiny/chat"
BOTH = Targets(ttft=0.2, itl=0.02)


@pytest.mark.parametrize("target", [0.2, 0.0137, 3.0])
def test_edges_contain_the_target_exactly_and_grow(target):
    edges = edges_around(target)
    assert target in edges
    assert list(edges) == sorted(set(edges))
    assert (edges[0], edges[-1]) == pytest.approx((target / 10, target * 100))


class Clock:
    now = 0.0

    def __call__(self):
        return self.now


def measured(targets, *, times, error=None):
    """Run one request whose tokens come at *times*; return inside, outside."""
    metrics = FrontendMetrics(targets, namespace="test")
    clock = Clock()
    measure = Measure(metrics.of(MODEL), isl=10, arrived=0.0, clock=clock)
    with contextlib.suppress(BaseException), measure:
        for time in times:
            clock.now = time
            measure.tokens(1)
        if error is not None:
            raise error

    def value(name):
        labels = {"model": MODEL, "namespace": "test"}
        return metrics.registry.get_sample_value(f"planner_frontend_{name}", labels)

    assert value("inflight_requests") == 0
    assert value("requests_started_total") == 1
    return value("requests_within_sla_total"), value("requests_outside_sla_total")


FAILED = ApiError(503, "no", code="no_instances")
JUDGED = [
    pytest.param(BOTH, [0.2, 0.22, 0.24], None, (1, 0), id="on both targets"),
    pytest.param(BOTH, [0.21, 0.22], None, (0, 1), id="first token late"),
    pytest.param(BOTH, [0.1, 0.11, 0.15], None, (0, 1), id="mean late"),
    pytest.param(BOTH, [0.1, 0.129, 0.13], None, (1, 0), id="one gap late, mean in time"),
    pytest.param(BOTH, [0.1], None, (1, 0), id="one token has no itl"),
    pytest.param(Targets(ttft=0.2), [0.1, 9.0], None, (1, 0), id="no itl target"),
    pytest.param(Targets(itl=0.02), [9.0, 9.01], None, (1, 0), id="no ttft target"),
    pytest.param(Targets(), [9.0, 19.0], None, (1, 0), id="no targets"),
    pytest.param(BOTH, [0.1, 0.11], FAILED, (0, 1), id="failed"),
    pytest.param(BOTH, [], FAILED, (0, 1), id="failed at once"),
    pytest.param(BOTH, [0.1], RuntimeError(), (0, 1), id="our own mistake"),
    pytest.param(BOTH, [], ApiError(400, "no", code="x"), (0, 0), id="refused by the worker"),
    pytest.param(BOTH, [0.1], asyncio.CancelledError(), (0, 0), id="hung up in time"),
    pytest.param(BOTH, [0.3], asyncio.CancelledError(), (0, 1), id="hung up after a late token"),
]


@pytest.mark.parametrize(("targets", "times", "error", "counted"), JUDGED)
def test_requests_are_judged(targets, times, error, counted):
    assert measured(targets, times=times, error=error) == counted


@pytest.fixture
def options():
    return FrontendOptions(port=0, targets=BOTH, relay=RelayLimits(queue_timeout=0.1))


async def ask(deployment, **fields):
    body = {"model": MODEL, "prompt": "hi", **fields}
    async with deployment.http.post("/v1/completions", json=body) as answer:
        await answer.read()
        return answer.status


async def test_the_page_adds_up(deployment, worker, byte_level):
    worker.text = "Hello there!"
    isl, osl = len(byte_level.encode("hi").ids), len(byte_level.encode(worker.text).ids) + 1
    assert await ask(deployment) == 200
    assert await ask(deployment, stream=True) == 200
    assert await ask(deployment, max_tokens=0) == 400
    worker.breaks = [(2, PrefillFailed("no"))]
    assert await ask(deployment) == 500
    value = deployment.value
    assert value("requests_started_total") == 3
    assert value("requests_total", status="success") == 2
    assert value("requests_total", status="error") == 1
    assert value("inflight_requests") == 0
    assert (value("input_sequence_tokens_sum"), value("input_sequence_tokens_count")) == (
        3 * isl,
        3,
    )
    assert value("input_sequence_tokens_squared_total") == 3 * isl**2
    assert (value("output_sequence_tokens_sum"), value("output_sequence_tokens_count")) == (
        2 * osl,
        2,
    )
    assert value("output_tokens_total") == 2 * osl + 2
    assert value("cached_tokens_total") == 9
    assert value("context_output_tokens_total") == 2 * (isl + osl / 2) * osl
    assert value("time_to_first_token_seconds_count") == 3
    assert value("time_to_first_token_seconds_bucket", le="0.2") == 3
    assert value("inter_token_latency_seconds_bucket", le="0.02") == 2
    assert (value("requests_within_sla_total"), value("requests_outside_sla_total")) == (2, 1)


async def test_a_served_model_has_its_series_before_its_first_request(deployment, worker):
    async with deployment.http.get("/metrics") as answer:
        page = await answer.text()
    assert (
        f'planner_frontend_requests_started_total{{model="{MODEL}",namespace="test"}} 0.0' in page
    )
    assert "_created" not in page


async def test_health_tells_models_and_instances(deployment, worker):
    async with deployment.http.get("/health") as answer:
        page = await answer.json()
    assert (answer.status, page["status"], page["live"]) == (200, "ready", True)
    assert page["models"] == [{"name": MODEL, "instances": 1}]
    states = {one["component"]: one["state"] for one in page["instances"]}
    assert states == {"decode": "ready", "frontend": "ready"}
    await worker.runtime.close()
    await deployment.ready(0)
    async with deployment.http.get("/health") as answer:
        assert (answer.status, (await answer.json())["status"]) == (200, "waiting for workers")


async def test_the_frontend_is_found_under_its_url(deployment):
    client = await (await deployment.connect()).endpoint("frontend", "http").client()
    assert [record.metadata["url"] for record in client.instances] == [deployment.frontend.url]
    page = await client.call({})
    assert page["live"] is True
