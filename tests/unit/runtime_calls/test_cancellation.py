"""Stop and kill reach the handler at once, along a chain of services and when a client goes."""

import asyncio

import pytest

from runtime import Context, current_context
from runtime.errors import Cancelled

SOON = 0.1  # seconds


class Patient:
    """A handler that goes on until told otherwise, and notes how it was told."""

    def __init__(self) -> None:
        self.started = asyncio.Event()
        self.ended = asyncio.Event()
        self.context: Context | None = None
        self.was_cancelled = False

    async def __call__(self, request, context):
        self.context = context
        self.started.set()
        try:
            yield "working"
            await context.wait_stopped()
            yield "partial"
        except asyncio.CancelledError:
            self.was_cancelled = True
            raise
        finally:
            self.ended.set()


@pytest.fixture
async def patient():
    return Patient()


@pytest.fixture
async def client(worker, caller, patient):
    await worker.endpoint("worker", "generate").serve(patient)
    return await caller.endpoint("worker", "generate").client()


async def test_stop_lets_the_handler_finish(client, patient):
    stream = await client.generate(None)
    assert await anext(stream) == "working"
    await stream.stop()
    async with asyncio.timeout(SOON):
        assert [item async for item in stream] == ["partial"]
    assert not patient.was_cancelled
    assert not patient.context.is_killed


async def test_stop_before_anything_arrived(client, patient):
    stream = await client.generate(None)
    await stream.stop()
    async with asyncio.timeout(SOON):
        assert [item async for item in stream] == ["working", "partial"]


async def test_kill_cancels_the_handler(client, patient):
    stream = await client.generate(None)
    await patient.started.wait()
    await stream.kill()
    async with asyncio.timeout(SOON):
        await patient.ended.wait()
    assert patient.was_cancelled
    assert patient.context.is_killed
    with pytest.raises(Cancelled):
        [item async for item in stream]


async def test_leaving_the_block_kills(client, patient):
    async with await client.generate(None) as stream:
        assert await anext(stream) == "working"
    async with asyncio.timeout(SOON):
        await patient.ended.wait()
    assert patient.was_cancelled


async def test_a_dropped_stream_kills(client, patient):
    async for _ in await client.generate(None):
        break
    async with asyncio.timeout(SOON):
        await patient.ended.wait()
    assert patient.was_cancelled


async def test_a_client_that_goes_kills(client, caller, patient):
    stream = await client.generate(None)
    await anext(stream)
    await caller.close()
    async with asyncio.timeout(SOON):
        await patient.ended.wait()
    assert patient.was_cancelled
    assert patient.context.is_killed


async def test_a_caller_cancelled_while_waiting_for_acceptance_leaves_nothing(client, patient):
    asking = asyncio.create_task(client.generate(None))
    await asyncio.sleep(0)
    asking.cancel()
    with pytest.raises(asyncio.CancelledError):
        await asking
    assert client.in_flight(client.instances[0].instance_id) == 0


@pytest.fixture
async def chain(deployment, client):
    """The client of a service that answers with what `client` gives."""
    middle = await deployment.connect()

    async def relay(request, context):
        assert current_context() is context
        async with await client.generate(request, context=context) as stream:
            async for item in stream:
                yield item

    await middle.endpoint("middle", "generate").serve(relay)
    front = await deployment.connect()
    return await front.endpoint("middle", "generate").client()


async def test_id_and_deadline_pass_along_a_chain(chain, patient):
    stream = await chain.generate(None, request_id="abc", timeout=60)
    await anext(stream)
    assert patient.context.id == "abc"
    assert 59 < patient.context.remaining() <= 60


async def test_stop_passes_along_a_chain(chain, patient):
    stream = await chain.generate(None)
    assert await anext(stream) == "working"
    await stream.stop()
    async with asyncio.timeout(SOON):
        assert [item async for item in stream] == ["partial"]
    assert not patient.was_cancelled


async def test_kill_passes_along_a_chain(chain, patient):
    stream = await chain.generate(None)
    await anext(stream)
    await stream.kill()
    async with asyncio.timeout(SOON):
        await patient.ended.wait()
    assert patient.was_cancelled


async def test_no_context_outside_a_request():
    assert current_context() is None


async def test_followers_of_a_context_hear_late_and_only_once():
    context, heard = Context("r"), []
    unfollow = context.follow(lambda: heard.append("stop"), lambda: heard.append("kill"))
    context.stop()
    context.stop()
    context.follow(lambda: heard.append("late stop"), lambda: None)
    unfollow()
    unfollow()
    context.kill()
    context.kill()
    context.follow(lambda: None, lambda: heard.append("late kill"))
    assert heard == ["stop", "late stop", "late kill"]
