"""An instance that leaves: unlisted at once, finished in time or killed, forgotten."""

import asyncio
import logging

import pytest

from runtime import InstanceState
from runtime.errors import Draining, NoInstances
from runtime.instance import decode_record


class Gate:
    """A handler that waits until it is let go."""

    def __init__(self) -> None:
        self.running = asyncio.Event()
        self.open = asyncio.Event()

    async def __call__(self, request, context):
        self.running.set()
        await self.open.wait()
        return "done"


@pytest.fixture
async def gate():
    return Gate()


@pytest.fixture
async def served(worker, gate):
    return await worker.endpoint("worker", "generate").serve(gate, metadata={"name": "w-1"})


@pytest.fixture
async def client(caller, served):
    return await caller.endpoint("worker", "generate").client()


@pytest.fixture
async def request_running(client, gate):
    request = asyncio.create_task(client.call(None))
    await gate.running.wait()
    yield request
    request.cancel()


async def test_an_idle_instance_leaves_at_once(served, client, worker):
    assert await served.drain(60)
    assert await worker.store.get(served.instance.key) is None
    with pytest.raises(NoInstances):
        await client.generate(None)


async def test_draining_lets_requests_finish(served, client, gate, request_running, worker):
    assert served.in_flight == 1
    draining = asyncio.create_task(served.drain(60))
    await asyncio.sleep(0.01)
    record = decode_record(await worker.store.get(served.instance.key))
    assert record.state is InstanceState.DRAINING
    assert record.metadata == {"name": "w-1"}
    assert client.instances == ()
    assert [found.state for found in client.all_instances] == [InstanceState.DRAINING]
    gate.open.set()
    assert await draining
    assert await request_running == "done"
    assert served.in_flight == 0


async def test_what_does_not_finish_is_killed_with_draining(served, client, gate, request_running):
    assert not await served.drain(0.02)
    with pytest.raises(Draining):
        await request_running
    assert served.in_flight == 0
    assert client.in_flight(served.instance.instance_id) == 0


async def test_a_request_on_its_way_goes_elsewhere(worker, served, client, gate, request_running):
    other = await worker.endpoint("worker", "generate").serve(gate)
    draining = asyncio.create_task(served.drain(60))
    late = asyncio.create_task(client.generate(None, instance_id=served.instance.instance_id))
    answer = asyncio.create_task(client.generate(None))
    gate.open.set()
    assert (await answer).instance_id == other.instance.instance_id
    assert await draining
    await asyncio.gather(late, return_exceptions=True)


async def test_closing_kills_at_once(served, gate, request_running, worker):
    await served.close()
    with pytest.raises(Draining):
        await request_running
    assert await worker.store.get(served.instance.key) is None
    await served.close()


async def test_the_runtime_drains_all_it_serves(worker, served, gate, request_running):
    async def stuck(request, context):
        await asyncio.Event().wait()

    other = await worker.endpoint("worker", "other").serve(stuck)
    draining = asyncio.create_task(worker.drain(60))
    gate.open.set()
    assert await draining
    assert served.in_flight == other.in_flight == 0


async def test_a_store_that_is_away_does_not_hold_a_drain(served, deployment, caplog):
    deployment.backend.go_away()
    with caplog.at_level(logging.WARNING):
        assert await served.drain(1)
    assert "store not told" in caplog.text
    deployment.backend.come_back()


async def test_a_handler_that_ignores_its_end_is_reported(worker, caller, caplog, monkeypatch):
    monkeypatch.setattr("runtime.serving._KILL_SECONDS", 0.02)
    release = asyncio.Event()

    async def stubborn(request, context):
        while not release.is_set():
            try:
                await release.wait()
            except asyncio.CancelledError:
                continue
        return "late"

    served = await worker.endpoint("worker", "generate").serve(stubborn)
    client = await caller.endpoint("worker", "generate").client()
    stream = await client.generate(None)
    with caplog.at_level(logging.WARNING):
        await served.close()
    assert "handlers ignore their end" in caplog.text
    release.set()
    assert await anext(stream) == "late"


async def test_metadata_can_be_replaced(served, client, worker):
    await served.set_metadata({"name": "w-2"})
    record = decode_record(await worker.store.get(served.instance.key))
    assert record.metadata == served.instance.metadata == {"name": "w-2"}


async def test_serving_that_cannot_be_listed_leaves_nothing(worker, deployment, gate):
    deployment.backend.go_away()
    with pytest.raises(Exception, match="away"):
        await worker.endpoint("worker", "generate").serve(gate, instance_id=7)
    deployment.backend.come_back()
    assert not deployment.exchange.deliver("planner.worker.generate-7", b"")
