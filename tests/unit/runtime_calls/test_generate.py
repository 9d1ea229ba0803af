"""Requests that reach a handler, and what comes back: items, values, faults."""

import logging

import msgspec
import pytest

from runtime import Context
from runtime.errors import InvalidRequest, NoInstances, Overloaded, RuntimeFault


class Prompt(msgspec.Struct):
    words: list[str]


class Word(msgspec.Struct):
    text: str


async def echo(request, context):
    for word in request.words:
        yield Word(text=word)


async def size(request, context):
    return len(request)


async def connected(worker, caller, handler, **serving):
    served = await worker.endpoint("worker", "generate").serve(handler, **serving)
    return served, await caller.endpoint("worker", "generate").client()


async def test_a_stream_arrives_typed_and_in_order(worker, caller):
    served, client = await connected(worker, caller, echo, request_type=Prompt)
    stream = await client.generate(Prompt(words=["a", "b", "c"]), response_type=Word)
    assert [item async for item in stream] == [Word(text="a"), Word(text="b"), Word(text="c")]
    assert stream.instance_id == served.instance.instance_id


async def test_a_coroutine_gives_one_value(worker, caller):
    _, client = await connected(worker, caller, size, request_type=str)
    assert await client.call("seven", response_type=int) == 5


async def test_a_coroutine_may_hand_over_a_stream(worker, caller):
    async def checked(request, context):
        return echo(request, context)

    _, client = await connected(worker, caller, checked, request_type=Prompt)
    stream = await client.generate(Prompt(words=["x"]))
    assert [item async for item in stream] == [{"text": "x"}]


async def test_a_thousand_items_outrun_no_loop(worker, caller):
    async def count(request, context):
        for number in range(request):
            yield bytes(1000) + number.to_bytes(2)

    _, client = await connected(worker, caller, count)
    stream = await client.generate(1000)
    assert [int.from_bytes(item[-2:]) async for item in stream] == list(range(1000))


async def test_many_streams_share_one_connection(worker, caller):
    _, client = await connected(worker, caller, echo, request_type=Prompt)
    streams = [await client.generate(Prompt(words=[str(n)])) for n in range(50)]
    assert [[item["text"] async for item in stream] for stream in streams] == [
        [str(n)] for n in range(50)
    ]
    assert len((await caller.streams())._connections) == 1


@pytest.mark.parametrize("request_body", [3, {"words": "no list"}, {}])
async def test_a_request_that_does_not_fit_is_refused(worker, caller, request_body):
    _, client = await connected(worker, caller, echo, request_type=Prompt)
    with pytest.raises(InvalidRequest, match="does not fit"):
        await client.generate(request_body)


async def test_a_response_that_does_not_fit_is_a_fault(worker, caller):
    _, client = await connected(worker, caller, size)
    stream = await client.generate("ab", response_type=str)
    with pytest.raises(RuntimeFault, match="does not fit"):
        await anext(stream)


async def test_a_fault_of_the_handler_keeps_its_kind(worker, caller):
    async def full(request, context):
        yield 1
        raise Overloaded("8 of 8 places taken")

    _, client = await connected(worker, caller, full)
    stream = await client.generate(None)
    assert await anext(stream) == 1
    with pytest.raises(Overloaded, match="8 of 8"):
        await anext(stream)


@pytest.mark.parametrize("kind", ["generator", "coroutine", "call"])
async def test_an_error_of_the_handler_is_named_and_logged_once(worker, caller, caplog, kind):
    async def generator(request, context):
        raise ValueError("no such layer")
        yield

    async def coroutine(request, context):
        raise ValueError("no such layer")

    def call(request, context):
        raise ValueError("no such layer")

    handlers = {"generator": generator, "coroutine": coroutine, "call": call}
    _, client = await connected(worker, caller, handlers[kind])
    stream = await client.generate(None)
    with caplog.at_level(logging.ERROR), pytest.raises(RuntimeFault, match="ValueError: no such"):
        await anext(stream)
    assert [record.message for record in caplog.records] == [
        f"handler failed request_id={caplog.records[0].args[0]}"
    ]


async def test_an_item_beyond_the_limit_ends_its_stream_only(deployment, caller):
    from runtime.frames import FrameLimits

    worker = await deployment.connect(limits=FrameLimits(body=100))
    _, client = await connected(worker, caller, lambda request, _: sizes(request))
    short, long = await client.generate([10, 20]), await client.generate([10, 200])
    with pytest.raises(RuntimeFault, match="beyond the 100"):
        [item async for item in long]
    assert [len(item) async for item in short] == [10, 20]


async def sizes(request):
    for size in request:
        yield bytes(size)


@pytest.mark.parametrize(
    ("words", "says"), [(["a", "b", "c"], "more than one value"), ([], "no value")]
)
async def test_call_wants_exactly_one_value(worker, caller, words, says):
    _, client = await connected(worker, caller, echo, request_type=Prompt)
    with pytest.raises(RuntimeFault, match=says):
        await client.call(Prompt(words=words))


async def test_the_context_carries_id_and_time(worker, caller):
    async def about(request, context: Context):
        return [context.id, context.remaining()]

    _, client = await connected(worker, caller, about)
    request_id, remaining = await client.call(None, request_id="abc", timeout=60)
    assert request_id == "abc"
    assert 59 < remaining <= 60
    assert (await client.call(None))[1] is None


async def test_nobody_serves(caller):
    client = await caller.endpoint("worker", "generate").client()
    with pytest.raises(NoInstances, match="planner/worker/generate"):
        await client.generate(None)


async def test_namespaces_are_apart(worker, caller):
    await worker.namespace("one").component("c").endpoint("e").serve(size)
    client = await caller.namespace("two").component("c").endpoint("e").client()
    with pytest.raises(NoInstances):
        await client.generate(None)


@pytest.mark.parametrize("name", ["", "a/b", "a.b", "a b", "*", "x" * 65])
async def test_names_that_fit_no_key_or_subject_are_refused(caller, name):
    with pytest.raises(InvalidRequest, match="letters"):
        caller.namespace("n").component("c").endpoint(name)


async def test_closing_the_caller_ends_its_streams(worker, caller):
    async def forever(request, context):
        yield 1
        await context.wait_stopped()

    _, client = await connected(worker, caller, forever)
    stream = await client.generate(None)
    assert await anext(stream) == 1
    await caller.close()
    with pytest.raises(RuntimeFault):
        await anext(stream)
