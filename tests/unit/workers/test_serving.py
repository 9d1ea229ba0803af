"""The handler of serving workers on the simulated engine: whatever happens, nothing is left."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import aclosing

import pytest
from msgspec.structs import replace

from planner.core.engine import DecodeLaw, EngineLimits, EngineModel, PrefillLaw
from runtime.context import Context
from runtime.errors import InvalidRequest, PrefillFailed
from runtime.protocol import FinishReason, GenerateRequest, Sampling, TokenDelta
from workers.serving import Serving
from workers.simulated.engine import SimulatedEngine
from workers.simulated.follower import Follower
from workers.simulated.scheduler import Limits

pytestmark = pytest.mark.looptime

MODEL = EngineModel(
    prefill=PrefillLaw(base_seconds=0.01, token_seconds=1e-5, token_squared_seconds=0.0),
    decode=DecodeLaw(base_seconds=0.005, request_seconds=0.0, kv_token_seconds=0.0),
    limits=EngineLimits(
        max_num_batched_tokens=8192,
        max_num_seqs=256,
        block_size=16,
        kv_capacity_tokens=1600,
        kv_bytes_per_token=1000,
        transfer_bytes_per_second=1e9,
    ),
)


class Elsewhere:
    """A route that prefills elsewhere, as its test says."""

    def __init__(self, result: dict | Exception | None) -> None:
        self.result = result
        self.gate = asyncio.Event()
        self.gate.set()

    async def __call__(self, request, engine):
        await engine.reserve(request)
        await self.gate.wait()
        if isinstance(self.result, Exception):
            raise self.result
        return request if self.result is None else replace(request, transfer=self.result)


class Bench:
    def __init__(self, engine: SimulatedEngine) -> None:
        self.engine = engine
        self.local = 0

    def serving(self, route=None) -> Serving:
        return Serving(self.engine, route=route, count_local=self._count)

    def _count(self) -> None:
        self.local += 1


@pytest.fixture
async def bench() -> AsyncIterator[Bench]:
    follower = Follower(list(range(100)), openings=[0], sentence_ends=set(), eos=None)
    engine = Watched(MODEL, Limits(kv_blocks=100), follower=follower)
    engine.released = []
    await engine.start()
    yield Bench(engine)
    stats = engine.stats()
    assert (stats.kv_blocks_used, stats.running, stats.waiting) == (0, 0, 0)
    await engine.close()


def request(name: str = "r", osl: int = 3) -> GenerateRequest:
    return GenerateRequest(
        request_id=name, token_ids=list(range(100)), sampling=Sampling(max_tokens=osl)
    )


class Watched(SimulatedEngine):
    """Tells what it was asked to let go of."""

    released: list[dict]

    async def release(self, transfer):
        self.released.append(transfer)


async def collect(serving: Serving, one: GenerateRequest, context: Context | None = None):
    return [d async for d in serving.generate(one, context or Context(one.request_id))]


def tokens(deltas: list[TokenDelta]) -> list[int]:
    return [token for delta in deltas for token in delta.token_ids]


async def test_local_answers_say_so_once(bench):
    deltas = await collect(bench.serving(), request())
    assert [delta.remote_prefill for delta in deltas] == [False, None, None]
    assert [delta.cached_tokens for delta in deltas] == [0, None, None]
    assert deltas[-1].finish_reason is FinishReason.LENGTH
    assert bench.local == 1


async def test_remote_answers_say_so_and_are_the_same(bench):
    remote = await collect(bench.serving(Elsewhere({"engine": "simulated"})), request())
    assert [delta.remote_prefill for delta in remote] == [True, None, None]
    assert bench.local == 0
    assert tokens(remote) == tokens(await collect(bench.serving(), request()))


async def test_a_prefill_that_comes_back_is_done_here(bench):
    deltas = await collect(bench.serving(Elsewhere(None)), request())
    assert deltas[0].remote_prefill is False
    assert len(tokens(deltas)) == 3
    assert bench.local == 1


@pytest.mark.parametrize("fault", [PrefillFailed("given up"), InvalidRequest("never")])
async def test_faults_of_the_prefill_reach_the_client(bench, fault):
    with pytest.raises(type(fault)):
        await collect(bench.serving(Elsewhere(fault)), request())


async def test_the_same_id_twice_at_once_is_two_requests(bench):
    serving = bench.serving()
    answers = await asyncio.gather(*(collect(serving, request()) for _ in range(3)))
    assert len({tuple(tokens(deltas)) for deltas in answers}) == 1


async def test_stop_ends_gracefully_while_decoding(bench):
    serving, context, deltas = bench.serving(), Context("r"), []
    async for delta in serving.generate(request(osl=1000), context):
        deltas.append(delta)
        if len(deltas) == 2:
            context.stop()
    assert len(deltas) < 5
    await serving.close()


async def test_who_stops_as_the_prefill_comes_leaves_no_kv_elsewhere(bench):
    context, transfer = Context("r"), {"engine": "simulated"}

    async def route(request, engine):
        asyncio.get_running_loop().call_soon(context.stop)  # too late to cancel this
        return replace(request, transfer=transfer)

    serving = bench.serving(route)
    assert await collect(serving, request(), context) == []
    assert bench.engine.released == [transfer]
    await serving.close()


async def test_who_has_stopped_already_gets_nothing(bench):
    context, serving = Context("r"), bench.serving()
    context.stop()
    assert await collect(serving, request(osl=1000), context) == []
    assert bench.engine.released == []
    await serving.close()


@pytest.mark.parametrize("signal", ["stop", "cancel"])
async def test_a_request_that_ends_while_it_waits_for_its_prefill(bench, signal):
    route = Elsewhere({"engine": "simulated"})
    route.gate.clear()
    serving, context = bench.serving(route), Context("r")
    task = asyncio.create_task(collect(serving, request(), context))
    await asyncio.sleep(0.1)
    assert bench.engine.stats().kv_blocks_used == 7
    if signal == "stop":
        context.stop()
        assert await task == []
    else:
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
    await serving.close()


async def test_a_reader_that_leaves_frees_everything(bench):
    async with aclosing(bench.serving().generate(request(osl=1000), Context("r"))) as deltas:
        await anext(deltas)
    assert bench.engine.stats().running == 0
