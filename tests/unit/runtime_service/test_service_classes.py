"""Services as classes: three of them in a chain, in one process."""

import asyncio
from collections.abc import AsyncIterator

import msgspec
import pytest

from runtime import Context, DistributedRuntime, RuntimeConfig
from runtime.discovery.memory import MemoryBackend, MemoryStore
from runtime.errors import InvalidRequest, NoInstances
from runtime.messaging.memory import MemoryExchange, MemoryPlane
from runtime.service import (
    async_on_start,
    depends,
    endpoint,
    on_shutdown,
    serve_service,
    service,
)
from runtime.service.declare import service_endpoints, service_hooks, service_name


class Text(msgspec.Struct):
    words: list[str]


@service(namespace="chain")
class Backend:
    def __init__(self):
        self.events = []

    @async_on_start
    async def warm_up(self):
        self.events.append("start")

    @endpoint
    async def generate(self, text: Text, context: Context) -> AsyncIterator[str]:
        for word in text.words:
            yield f"{word}-back"
        if context.id == "endless":
            await context.wait_stopped()
            self.events.append("stopped")

    @endpoint()
    async def count(self, text: Text) -> int:
        return len(text.words)

    @endpoint(name="health")
    async def is_healthy(self) -> bool:
        return True

    @on_shutdown
    def cool_down(self):
        self.events.append("shutdown")


@service(namespace="chain", component="between")
class Middle:
    backend = depends(Backend)

    @endpoint
    async def generate(self, text: Text) -> AsyncIterator[str]:
        async for item in self.backend.generate(text):
            yield f"{item}-mid"

    @endpoint
    async def count(self, text: Text) -> int:
        return 10 * await self.backend.count(text)

    @endpoint
    async def check(self) -> bool:
        return await self.backend.is_healthy()


@service
class Front:
    middle = depends(Middle, strategy="least_loaded")

    @endpoint
    async def tell(self, text: str) -> list[str]:
        return [item async for item in self.middle.generate(Text(words=text.split()))]


@pytest.fixture
async def runtime():
    store, plane = MemoryStore(MemoryBackend()), MemoryPlane(MemoryExchange())
    async with await DistributedRuntime.connect(
        RuntimeConfig(namespace="own"), store=store, plane=plane
    ) as made:
        yield made


async def client_of(runtime, namespace, component, name):
    return await runtime.namespace(namespace).component(component).endpoint(name).client()


async def test_a_chain_of_services_started_in_any_order(runtime):
    for cls in (Front, Middle, Backend):
        await serve_service(runtime, cls)
    client = await client_of(runtime, "own", "Front", "tell")
    assert await client.call("a b") == ["a-back-mid", "b-back-mid"]
    between = await client_of(runtime, "chain", "between", "count")
    assert await between.call(Text(words=["x", "y"])) == 20
    check = await client_of(runtime, "chain", "between", "check")
    assert await check.call(None) is True


async def test_requests_are_checked_by_annotation(runtime):
    await serve_service(runtime, Backend)
    client = await client_of(runtime, "chain", "Backend", "count")
    with pytest.raises(InvalidRequest, match="words"):
        await client.call({"word": "x"})


async def test_a_dependency_that_is_not_there_is_a_fault(runtime):
    await serve_service(runtime, Middle)
    client = await client_of(runtime, "chain", "between", "count")
    with pytest.raises(NoInstances, match="chain/Backend/count"):
        await client.call(Text(words=[]))


async def test_stop_goes_down_the_chain(runtime):
    back = await serve_service(runtime, Backend)
    await serve_service(runtime, Middle)
    client = await client_of(runtime, "chain", "between", "generate")
    stream = await client.generate(Text(words=["a"]), request_id="endless")
    assert await anext(stream) == "a-back-mid"
    await stream.stop()
    async with asyncio.timeout(1):
        assert [item async for item in stream] == []
    assert back.instance.events == ["start", "stopped"]


async def test_hooks_surround_the_life_of_a_service(runtime):
    served = await serve_service(runtime, Backend)
    assert set(served.endpoints) == {"generate", "count", "health"}
    assert served.instance.events == ["start"]
    assert await served.drain(1)
    assert served.instance.events == ["start", "shutdown"]
    await served.close()
    assert served.instance.events == ["start", "shutdown"]


async def test_a_start_that_fails_serves_nothing_and_shuts_down(runtime):
    ended = []

    @service
    class Faulty:
        @async_on_start
        def fail(self):
            raise OSError("no device")

        @endpoint
        async def ask(self) -> int:
            return 1

        @on_shutdown
        async def end(self):
            ended.append(True)

    with pytest.raises(OSError, match="no device"):
        await serve_service(runtime, Faulty)
    assert ended == [True]
    assert (await client_of(runtime, "own", "Faulty", "ask")).instances == ()


def test_a_service_that_is_not_served_is_not_connected():
    with pytest.raises(RuntimeError, match="Middle is not served"):
        Middle().backend.count(None)


def test_the_marks_are_readable():
    assert service_name(Middle).component == "between"
    assert service_name(Front).namespace is None
    signatures = service_endpoints(Backend)
    assert {name: (one.name, one.is_stream) for name, one in signatures.items()} == {
        "generate": ("generate", True),
        "count": ("count", False),
        "is_healthy": ("health", False),
    }
    assert signatures["generate"].request_type is Text
    assert signatures["generate"].response_type is str
    assert service_hooks(Backend, "start") == ["warm_up"]


def test_endpoints_are_inherited_and_the_mark_of_a_service_is_not():
    class Derived(Backend):
        pass

    assert "generate" in service_endpoints(Derived)
    with pytest.raises(TypeError, match="@service"):
        service_name(Derived)


def synchronous(self, request):
    return request


async def too_many(self, one, two):
    return one


@pytest.mark.parametrize("method", [synchronous, too_many])
def test_what_cannot_be_an_endpoint_is_refused(method):
    cls = type("Wrong", (), {"ask": endpoint(method)})
    with pytest.raises(TypeError, match=method.__name__):
        service_endpoints(cls)


@pytest.mark.parametrize("bad", ["a.b", "a/b", ""])
def test_names_are_checked_where_they_are_written(bad):
    with pytest.raises(InvalidRequest):
        service(namespace=bad)(type("Some", (), {}))


async def test_endpoints_without_annotations_take_anything(runtime):
    @service
    class Loose:
        @endpoint
        async def same(self, request):
            return request

        @endpoint
        async def twice(self, request):
            yield request
            yield request

    await serve_service(runtime, Loose)
    same = await client_of(runtime, "own", "Loose", "same")
    assert await same.call({"a": [1]}) == {"a": [1]}
    twice = await client_of(runtime, "own", "Loose", "twice")
    assert [item async for item in await twice.generate("x")] == ["x", "x"]
