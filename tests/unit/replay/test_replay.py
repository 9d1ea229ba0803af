"""The open loop against an OpenAI server on the loopback: what it sends, and what it measures."""

import asyncio
import json
import math
from contextlib import asynccontextmanager

import numpy as np
import pytest
from aiohttp import web
from aiohttp.test_utils import TestServer

from planner.core.sla import Sla
from planner.errors import PlannerError
from planner.replay import Endpoint, Load, Measurement, Status, replay, report
from planner.replay.prompts import body
from planner.traces import Trace


def trace_of(*rows):
    due, isl, osl = (np.array(column) for column in zip(*rows, strict=True))
    return Trace(name="t", arrival_seconds=due.astype(float), isl=isl, osl=osl)


class Server:
    """Answers completions with one event a token, *gap* seconds apart."""

    def __init__(self):
        self.requests = []
        self.gap = 0.0
        self.refuses = False
        self.reached = asyncio.Event()
        self.inside = 0
        self.most_inside = 0

    async def complete(self, request):
        asked = await request.json()
        self.requests.append(asked)
        if self.refuses:
            return web.json_response({"error": {"message": "too long"}}, status=400)
        self.reached.set()
        self.inside += 1
        self.most_inside = max(self.most_inside, self.inside)
        try:
            return await self.stream(request, asked)
        finally:
            self.inside -= 1

    async def stream(self, request, asked):
        response = web.StreamResponse(headers={"Content-Type": "text/event-stream"})
        await response.prepare(request)
        for _ in range(asked["max_tokens"]):
            await asyncio.sleep(self.gap)
            await response.write(
                b'data: {"choices": [{"index": 0, "text": "x", "finish_reason": null}]}\n\n'
            )
        usage = {"completion_tokens": asked["max_tokens"]}
        await response.write(f"data: {json.dumps({'choices': [], 'usage': usage})}\n\n".encode())
        await response.write(b"data: [DONE]\n\n")
        return response

    async def models(self, _request):
        return web.json_response({"data": [{"id": "m"}]})


@asynccontextmanager
async def serving(server, **options):
    app = web.Application(client_max_size=1 << 26)
    app.router.add_post("/v1/completions", server.complete)
    app.router.add_get("/v1/models", server.models)
    async with (
        TestServer(app) as running,
        Endpoint(str(running.make_url("/v1")), **options) as endpoint,
    ):
        yield endpoint


@pytest.mark.parametrize("isl", [1, 2, 4096])
def test_prompts_have_exactly_the_tokens_asked_for(isl):
    asked = json.loads(body(isl, 7, model='odd "m"', rng=np.random.default_rng(0)))
    assert len(asked["prompt"]) == isl
    assert all(100 <= i <= 255 for i in asked["prompt"])
    assert (asked["max_tokens"], asked["min_tokens"], asked["ignore_eos"]) == (7, 7, True)
    assert (asked["model"], asked["stream_options"]) == ('odd "m"', {"include_usage": True})


async def test_sends_on_schedule_and_measures_every_request():
    server, found = Server(), []
    server.gap = 0.002
    load = Load(trace=trace_of((0, 5, 3), (0.01, 6, 1), (0.05, 7, 4)), model="m")
    async with serving(server) as endpoint:
        assert await endpoint.models() == ["m"]
        await replay(load, endpoint, measured=found.append)

    assert [len(asked["prompt"]) for asked in server.requests] == [5, 6, 7]
    by_index = sorted(found, key=lambda m: m.index)
    assert [(m.status, m.tokens) for m in by_index] == [
        (Status.COMPLETED, 3), (Status.COMPLETED, 1), (Status.COMPLETED, 4)
    ]  # fmt: skip
    assert by_index[1].itl_seconds is None
    assert all(m.ttft_seconds > 0 and m.late_seconds >= 0 for m in found)
    assert all(m.ttft_seconds <= m.duration_seconds for m in found)


async def test_the_same_seed_sends_the_same_prompts():
    prompts = []
    for seed in (1, 1, 2):
        server = Server()
        load = Load(trace=trace_of((0, 20, 1), (0, 20, 1)), model="m", seed=seed)
        async with serving(server) as endpoint:
            await replay(load, endpoint, measured=lambda _: None)
        prompts.append(sorted(asked["prompt"] for asked in server.requests))
    assert prompts[0] == prompts[1] != prompts[2]


async def test_failures_are_measured_not_raised():
    server, found = Server(), []
    server.refuses = True
    load = Load(trace=trace_of((0, 5, 3), (0, 5, 3)), model="m")
    async with serving(server) as endpoint:
        await replay(load, endpoint, measured=found.append)
    assert {m.error for m in found} == {"HTTP 400: too long"}
    result = report(found, sla=Sla(ttft_seconds=1), duration_seconds=1.0)
    assert (result.failed, result.attainment, result.ttft_ms) == (2, 0.0, None)
    assert result.failures == {"HTTP 400: too long": 2}


async def test_a_request_that_takes_too_long_fails():
    server, found = Server(), []
    server.gap = 30
    async with serving(server, timeout=0.1) as endpoint:
        load = Load(trace=trace_of((0, 5, 3)), model="m")
        await replay(load, endpoint, measured=found.append)
    assert [(m.status, m.error) for m in found] == [(Status.FAILED, "no answer in 0.1s")]


async def test_interruption_tells_what_was_under_way():
    server, found = Server(), []
    server.gap = 30
    load = Load(trace=trace_of((0, 5, 3), (1000, 5, 3)), model="m")
    async with serving(server) as endpoint:
        sending = asyncio.create_task(replay(load, endpoint, measured=found.append))
        await server.reached.wait()
        sending.cancel()
        await asyncio.gather(sending, return_exceptions=True)
    assert [m.status for m in found] == [Status.INTERRUPTED]
    result = report(found, sla=Sla(ttft_seconds=1), duration_seconds=1.0)
    assert (result.requests, result.interrupted, result.attainment) == (1, 1, None)


async def test_the_guard_bounds_what_is_under_way():
    server = Server()
    server.gap = 0.01
    load = Load(trace=trace_of(*[(0, 5, 1)] * 6), model="m", concurrency=2)
    async with serving(server) as endpoint:
        await replay(load, endpoint, measured=lambda _: None)
    assert (len(server.requests), server.most_inside) == (6, 2)


async def test_nothing_there_is_one_line_with_a_hint():
    async with Endpoint("http://127.0.0.1:9") as endpoint:
        with pytest.raises(PlannerError, match=r"127\.0\.0\.1:9: not an OpenAI endpoint") as caught:
            await endpoint.models()
    assert "planner serve" in caught.value.hint


def measured(status=Status.COMPLETED, **fields):
    return Measurement(index=0, due_seconds=0.0, isl=1, osl=2, status=status, **fields)


@pytest.mark.parametrize(
    ("measurement", "expected"),
    [
        pytest.param(measured(ttft_seconds=0.2, itl_seconds=0.02), True, id="on both targets"),
        pytest.param(measured(ttft_seconds=0.201, itl_seconds=0.01), False, id="late"),
        pytest.param(measured(ttft_seconds=0.1, itl_seconds=0.021), False, id="slow"),
        pytest.param(measured(ttft_seconds=0.1), True, id="one token has no itl"),
        pytest.param(measured(Status.FAILED), False, id="failed"),
    ],
)
def test_what_counts_as_within_the_sla(measurement, expected):
    assert measurement.within(Sla(ttft_seconds=0.2, itl_seconds=0.02)) is expected


def test_a_report_without_requests_knows_nothing():
    result = report([], sla=Sla(ttft_seconds=1), duration_seconds=0.0)
    assert (result.attainment, result.ttft_ms, result.output_tokens_per_second) == (None,) * 3


def test_percentiles_are_in_milliseconds():
    found = [measured(ttft_seconds=i / 1000, tokens=2) for i in range(1, 101)]
    result = report(found, sla=Sla(ttft_seconds=0.09), duration_seconds=10.0)
    assert math.isclose(result.ttft_ms.p50, 50.5)
    assert (result.attainment, result.output_tokens_per_second) == (0.9, 20.0)
