"""A request's time is kept on both sides."""

import asyncio

import pytest

from runtime import Context
from runtime.errors import DeadlineExceeded


async def silent(request, context):
    await asyncio.Event().wait()
    yield


async def test_the_worker_ends_a_handler_whose_time_is_up(worker, caller):
    seen = []

    async def slow(request, context: Context):
        try:
            yield "first"
            await asyncio.Event().wait()
        finally:
            seen.append((context.is_killed, context.remaining()))

    await worker.endpoint("worker", "generate").serve(slow)
    client = await caller.endpoint("worker", "generate").client()
    stream = await client.generate(None, timeout=0.05)
    assert await anext(stream) == "first"
    with pytest.raises(DeadlineExceeded):
        await anext(stream)
    assert seen == [(True, 0.0)]
    assert client.in_flight(stream.instance_id) == 0


async def test_the_client_does_not_wait_for_a_worker_that_is_stuck(worker, caller, monkeypatch):
    monkeypatch.setattr("runtime.invocation.Invocation._deadline", lambda _: None)
    await worker.endpoint("worker", "generate").serve(silent)
    client = await caller.endpoint("worker", "generate").client()
    stream = await client.generate(None, timeout=0.05)
    with pytest.raises(DeadlineExceeded):
        await anext(stream)
    assert client.in_flight(stream.instance_id) == 0


async def test_a_deadline_before_the_acceptance(caller, deployment):
    async def deaf(message):
        pass

    worker = await deployment.connect()
    served = await worker.endpoint("worker", "generate").serve(silent)
    await served._subscription.close()
    await worker.plane.serve(served.instance.subject, deaf)
    client = await caller.endpoint("worker", "generate").client()
    with pytest.raises(DeadlineExceeded, match="accepted"):
        await client.generate(None, timeout=0.05)
    assert client.in_flight(served.instance.instance_id) == 0


@pytest.mark.parametrize("timeout", [0, -1])
async def test_no_time_at_all(worker, caller, timeout):
    await worker.endpoint("worker", "generate").serve(silent)
    client = await caller.endpoint("worker", "generate").client()
    with pytest.raises(DeadlineExceeded):
        await client.generate(None, timeout=timeout)
    assert client.in_flight(client.instances[0].instance_id) == 0


async def test_the_sooner_of_two_deadlines_counts(worker, caller):
    async def left(request, context):
        return context.remaining()

    await worker.endpoint("worker", "generate").serve(left)
    client = await caller.endpoint("worker", "generate").client()
    short = Context("r", timeout=5, clock=asyncio.get_running_loop().time)
    assert await client.call(None, context=short, timeout=60) <= 5
    assert await client.call(None, context=Context("r"), timeout=6) <= 6
