"""Requests in a changing fleet: one uninterrupted stream, bounded waiting, prompt hang-ups."""

import asyncio
import contextlib

import openai
import pytest

from runtime.errors import (
    Cancelled,
    DeadlineExceeded,
    InvalidRequest,
    PrefillFailed,
    StreamBroken,
)
from runtime.frontend.frontend import FrontendOptions
from runtime.frontend.relay import RelayLimits
from runtime.protocol import TokenDelta

MODEL = "tiny/chat"
TEXT = "Hello there! 你好 😀 fine."


async def complete(client, *, stream, **options):
    answer = await client.completions.create(
        model=MODEL, prompt="hi", stream=stream, stream_options=USAGE if stream else None, **options
    )
    if not stream:
        return answer.choices[0].text, answer.choices[0].finish_reason, answer.usage
    chunks = [chunk async for chunk in answer]
    text = "".join(chunk.choices[0].text for chunk in chunks[:-1])
    return text, chunks[-2].choices[0].finish_reason, chunks[-1].usage


USAGE = {"include_usage": True}


@pytest.mark.parametrize("stream", [False, True])
@pytest.mark.parametrize("after", [0, 1, 4, 8])
async def test_a_broken_response_goes_on_elsewhere(
    client, deployment, worker, byte_level, after, stream
):
    other = await deployment.worker()
    await deployment.ready(2)
    first, second = sorted([worker, other], key=lambda one: one.instance_id)
    first.breaks = second.breaks = [(after, StreamBroken("gone"))]  # whoever is asked first
    text, reason, usage = await complete(client, stream=stream)
    assert (text, reason) == (TEXT, "stop")
    token_ids = byte_level.encode(TEXT).ids
    assert usage.completion_tokens == len(token_ids) + 1
    asked = sorted(first.requests + second.requests, key=lambda request: request.resumed)
    assert len(first.requests) == len(second.requests) == 1
    prompt = byte_level.encode("hi").ids
    assert asked[0].token_ids == prompt
    assert asked[1].token_ids == prompt + token_ids[:after]
    assert asked[1].resumed == after
    assert asked[0].sampling == asked[1].sampling
    assert deployment.value("migrations_total") == 1
    assert deployment.value("requests_total", status="success") == 1


async def test_a_worker_that_dies_is_left_behind(client, deployment, worker, osl):
    worker.hold_after = 4
    answer = asyncio.create_task(complete(client, stream=True))
    await worker.held.wait()
    other = await deployment.worker()
    await worker.runtime.close()
    text, reason, usage = await answer
    assert (text, reason, usage.completion_tokens) == (TEXT, "stop", osl)
    assert other.requests[0].resumed == 4


@pytest.fixture
def osl(byte_level):
    return len(byte_level.encode(TEXT).ids) + 1


async def test_the_only_worker_is_used_again_when_no_other_appears(client, deployment, worker, osl):
    worker.breaks = [(2, StreamBroken("a hiccup"))]
    text, _, usage = await complete(client, stream=True)
    assert (text, usage.completion_tokens) == (TEXT, osl)
    assert [request.resumed for request in worker.requests] == [0, 2]


@pytest.fixture
def options(request):
    limits = {"queue_timeout": 1.5, "request_timeout": 5.0, "avoid_seconds": 0.05}
    return FrontendOptions(port=0, relay=RelayLimits(**limits | getattr(request, "param", {})))


async def test_migrations_are_bounded(client, deployment, worker):
    for _ in range(3):
        await deployment.worker()
    await deployment.ready(4)
    for one in deployment.workers:
        one.breaks = [(0, StreamBroken("gone"))] * 4
    with pytest.raises(openai.InternalServerError) as caught:
        await complete(client, stream=True)
    assert (caught.value.status_code, caught.value.code) == (503, "stream_broken")
    assert [len(one.requests) for one in deployment.workers] == [1, 1, 1, 1]
    assert deployment.value("migrations_total") == 3


@pytest.mark.parametrize(
    "fault",
    [
        InvalidRequest("no"),
        Cancelled("no"),
        DeadlineExceeded("no"),
        PrefillFailed("no"),
    ],
    ids=lambda fault: fault.code,
)
async def test_final_faults_do_not_migrate(client, deployment, worker, fault):
    await deployment.worker()
    await deployment.ready(2)
    for one in deployment.workers:
        one.breaks = [(2, fault)]
    with pytest.raises(openai.APIError):
        await complete(client, stream=False)
    assert deployment.value("migrations_total") == 0
    assert sum(len(one.requests) for one in deployment.workers) == 1


async def test_a_response_that_lost_only_its_end_is_complete(
    client, deployment, worker, byte_level
):
    worker.breaks = [(3, StreamBroken("gone"))]
    worker.loses_the_end = True
    text, reason, usage = await complete(client, stream=True, max_tokens=3)
    assert (reason, usage.completion_tokens) == ("length", 3)
    assert text == byte_level.decode(byte_level.encode(TEXT).ids[:3])
    assert deployment.value("migrations_total") == 0


@pytest.mark.parametrize("stream", [False, True])
@pytest.mark.parametrize("hold_after", [0, 4])
async def test_a_hang_up_reaches_the_worker_within_100_ms(deployment, worker, stream, hold_after):
    worker.hold_after = hold_after
    body = {"model": MODEL, "prompt": "hi", "stream": stream}

    async def ask():
        async with deployment.http.post("/v1/completions", json=body) as answer:
            await answer.read()

    asking = asyncio.create_task(ask())
    await worker.held.wait()
    asking.cancel()
    async with asyncio.timeout(0.1):
        await worker.killed.wait()
    with contextlib.suppress(asyncio.CancelledError):
        await asking
    await deployment.until(lambda: deployment.value("inflight_requests") == 0)
    assert deployment.value("disconnected_clients_total") == 1
    assert deployment.value("requests_within_sla_total") == 0
    assert deployment.value("requests_outside_sla_total") == 0


async def test_a_request_waits_for_the_next_worker(client, deployment, worker):
    await worker.runtime.close()
    await deployment.ready(0)
    asking = asyncio.create_task(complete(client, stream=True))
    await deployment.until(lambda: deployment.value("queued_requests") == 1)
    await deployment.worker()
    assert (await asking)[0] == TEXT
    assert deployment.value("queued_requests") == 0


@pytest.mark.parametrize("options", [{"queue_timeout": 0.05}], indirect=True)
async def test_waiting_is_bounded_in_time(client, deployment, worker):
    await worker.runtime.close()
    await deployment.ready(0)
    with pytest.raises(openai.InternalServerError) as caught:
        await complete(client, stream=True)
    assert (caught.value.status_code, caught.value.code) == (503, "no_instances")
    assert caught.value.response.headers["retry-after"] == "2"
    assert deployment.value("requests_total", status="unavailable") == 1
    assert deployment.value("requests_outside_sla_total") == 1


@pytest.mark.parametrize("options", [{"queue_limit": 0}], indirect=True)
async def test_waiting_is_bounded_in_number(client, deployment, worker):
    await worker.runtime.close()
    await deployment.ready(0)
    with pytest.raises(openai.InternalServerError) as caught:
        await complete(client, stream=True)
    assert (caught.value.status_code, caught.value.code) == (503, "overloaded")


@pytest.mark.parametrize("options", [{"request_timeout": 0.2}], indirect=True)
@pytest.mark.parametrize("hold_after", [0, 4])
async def test_the_deadline_ends_a_request(client, deployment, worker, hold_after):
    worker.hold_after = hold_after
    with pytest.raises(openai.InternalServerError) as caught:
        await complete(client, stream=False)
    assert (caught.value.status_code, caught.value.code) == (504, "deadline_exceeded")
    await worker.killed.wait()
    assert deployment.value("requests_total", status="deadline") == 1


@pytest.mark.parametrize("options", [{"migrations": 0}], indirect=True)
@pytest.mark.parametrize("delta", [b"nonsense", TokenDelta(token_ids=[-1]), {"token_ids": "x"}])
async def test_what_is_no_delta_ends_its_request_alone(client, deployment, worker, delta):
    async def nonsense(_request, _context):
        yield delta

    normal, worker.served._handler = worker.served._handler, nonsense
    with pytest.raises(openai.InternalServerError) as caught:
        await complete(client, stream=False)
    assert (caught.value.status_code, caught.value.code) == (500, "malformed_frame")
    worker.served._handler = normal
    assert (await complete(client, stream=False))[0] == TEXT


async def test_a_plane_that_is_away_is_waited_for(client, deployment, worker):
    deployment.exchange.available = False
    asking = asyncio.create_task(complete(client, stream=True))
    await deployment.until(lambda: deployment.value("queued_requests") == 1)
    deployment.exchange.available = True
    assert (await asking)[0] == TEXT
