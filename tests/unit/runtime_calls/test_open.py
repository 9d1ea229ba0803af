"""The path without a task switch: payload out, bytes straight into a sink."""

import asyncio

import msgspec
import pytest

from runtime.errors import Cancelled, Overloaded, RuntimeFault

encode, decode = msgspec.msgpack.encode, msgspec.msgpack.decode


class Recorder:
    """A sink that keeps what it gets, and can act on it."""

    def __init__(self, at_data=None):
        self.items = []
        self.ends = []
        self.over = asyncio.Event()
        self.at_data = at_data

    def on_data(self, body):
        self.items.append(decode(body))
        if self.at_data is not None:
            self.at_data(self)

    def on_end(self, fault):
        self.ends.append(fault)
        self.over.set()


@pytest.fixture
async def client(worker, caller):
    async def count(request, context):
        for number in range(request):
            yield number
        if request == 0:
            raise Overloaded("none for you")

    async def forever(request, context):
        yield "first"
        await context.wait_stopped()
        yield "last"

    async def either(request, context):
        return count(request, context) if isinstance(request, int) else forever(request, context)

    await worker.endpoint("worker", "generate").serve(either)
    return await caller.endpoint("worker", "generate").client()


def idle(client):
    return client.in_flight(client.instances[0].instance_id) == 0


async def test_items_then_one_end(client):
    sink = Recorder()
    call = await client.open(encode(3), sink, request_id="r")
    assert call.instance_id == client.instances[0].instance_id
    await sink.over.wait()
    assert (sink.items, sink.ends) == ([0, 1, 2], [None])
    assert call.is_over
    assert idle(client)


async def test_the_fault_of_the_handler_is_the_end(client):
    sink = Recorder()
    await client.open(encode(0), sink, request_id="r")
    await sink.over.wait()
    assert isinstance(sink.ends[0], Overloaded)
    assert idle(client)


async def test_kill_ends_it_before_returning(client):
    sink = Recorder()
    call = await client.open(encode("wait"), sink, request_id="r")
    call.kill()
    call.kill()
    call.stop()
    assert [type(fault) for fault in sink.ends] == [Cancelled]
    assert idle(client)


async def test_stop_twice_still_ends_well(client):
    sink = Recorder()
    call = await client.open(encode("wait"), sink, request_id="r")
    call.stop()
    call.stop()
    await sink.over.wait()
    assert (sink.items, sink.ends) == (["first", "last"], [None])


async def test_a_sink_may_kill_its_own_call(client):
    calls = []
    sink = Recorder(at_data=lambda _: calls and calls[0].kill())
    calls.append(await client.open(encode("wait"), sink, request_id="r"))
    calls[0].stop()
    await sink.over.wait()
    assert sink.items == ["first", "last"]
    assert [type(fault) for fault in sink.ends] == [Cancelled]


@pytest.mark.parametrize(
    ("error", "expected"),
    [
        pytest.param(Overloaded("enough"), Overloaded, id="a fault is taken as it is"),
        pytest.param(ValueError("oops"), RuntimeFault, id="an error is logged and named"),
    ],
)
async def test_a_sink_that_raises_ends_its_stream_only(client, caplog, error, expected):
    def fail(sink):
        raise error

    good, bad = Recorder(), Recorder(at_data=fail)
    await client.open(encode("wait"), bad, request_id="bad")
    await client.open(encode(2), good, request_id="good")
    await asyncio.gather(good.over.wait(), bad.over.wait())
    assert [type(fault) for fault in bad.ends] == [expected]
    assert (good.items, good.ends) == ([0, 1], [None])
    assert ("sink failed" in caplog.text) is isinstance(error, ValueError)
    assert idle(client)


async def test_a_refused_call_says_nothing_to_the_sink(client, worker, deployment):
    sink = Recorder()
    deployment.exchange.available = False
    with pytest.raises(RuntimeFault):
        await client.open(encode(1), sink, request_id="r")
    assert sink.ends == []
    assert idle(client)
    deployment.exchange.available = True


async def test_a_reader_that_falls_behind_costs_bounded_memory(deployment, client):
    hasty = await deployment.connect(unread_bytes=1000)
    reader = await hasty.endpoint("worker", "generate").client()
    stream = await reader.generate(10_000)
    await asyncio.sleep(0.05)
    read = [await anext(stream) for _ in range(1000 // 65)]
    assert read == list(range(len(read)))
    with pytest.raises(Overloaded, match="1000 bytes"):
        await anext(stream)
    assert reader.in_flight(stream.instance_id) == 0


async def test_one_large_item_is_no_overload(deployment, worker):
    async def large(request, context):
        return bytes(100_000)

    await worker.endpoint("worker", "large").serve(large)
    hasty = await deployment.connect(unread_bytes=1000)
    client = await hasty.endpoint("worker", "large").client()
    assert len(await client.call(None)) == 100_000
