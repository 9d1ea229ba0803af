"""The `Engine` around vLLM, with a vLLM made of promises."""

import asyncio
import dataclasses
import threading
from contextlib import aclosing

import msgspec
import pytest

from runtime.errors import Cancelled, InvalidRequest, RuntimeFault
from runtime.protocol import FinishReason, GenerateRequest, Sampling, TokenDelta
from workers.parts import Capacity
from workers.vllm.engine import ABORTED, VllmEngine
from workers.vllm.piece import Piece
from workers.vllm.prefix import PrefixIndex, Stored
from workers.vllm.totals import Report, Totals

CAPACITY = Capacity(
    context_length=100, kv_block_size=2, kv_blocks=50, max_num_seqs=4, token_budget=64,
    extras=("logprobs", "min_p"),
)  # fmt: skip
TRANSFER = {"do_remote_prefill": True, "remote_engine_id": "e", "remote_request_id": "r",
            "remote_host": "h", "remote_port": 1, "remote_block_ids": [[1]],
            "tp_size": 1}  # fmt: skip


class FakeLlm:
    """Says what it was told to say, then waits to be aborted."""

    def __init__(self, *pieces: Piece) -> None:
        self.capacity = CAPACITY
        self.is_failed = False
        self.asked: list[dict[str, object]] = []
        self.priorities: list[int] = []
        self.closed: list[str] = []
        self.released: list[dict[str, object]] = []
        self.is_closed = False
        self._pieces = pieces
        self._aborted = asyncio.Event()

    async def generate(self, request_id, token_ids, sampling, *, priority=0):
        self.asked.append(sampling)
        self.priorities.append(priority)
        try:
            for piece in self._pieces:
                yield piece
                if piece.finish is not None:
                    return
            await self._aborted.wait()
            yield Piece([], ABORTED)
        finally:
            self.closed.append(request_id)

    async def abort(self, request_id):
        self._aborted.set()

    async def release(self, transfer):
        self.released.append(transfer)

    def close(self):
        self.is_closed = True


class FakeLoading:
    def __init__(self, llm, *, fails: bool = False) -> None:
        self._llm = llm
        self._fails = fails

    def load(self):
        if self._fails:
            raise InvalidRequest("no such argument")
        return self._llm

    def stop(self):
        raise AssertionError("it is loaded already")


def request(tokens=10, osl=5, **more):
    return GenerateRequest(
        request_id="r", token_ids=list(range(tokens)), sampling=Sampling(max_tokens=osl), **more
    )


def engine_of(llm, index=None):
    totals = Totals(on_step=lambda seconds: None, clock=lambda: 0.0)
    return VllmEngine(FakeLoading(llm), totals, index=index or PrefixIndex())


@pytest.fixture
async def started():
    engines = []

    async def start(*pieces: Piece):
        llm = FakeLlm(*pieces)
        engine = engine_of(llm)
        await engine.start()
        engines.append(engine)
        return engine, llm

    yield start
    for engine in engines:
        await engine.close()


async def collect(engine, asked):
    return [delta async for delta in engine.generate(asked)]


async def test_pieces_become_deltas_and_are_counted(started):
    engine, llm = await started(Piece([7], cached_tokens=4), Piece([8, 9]), Piece([1], "stop"))
    assert await collect(engine, request()) == [
        TokenDelta(token_ids=[7], cached_tokens=4),
        TokenDelta(token_ids=[8, 9]),
        TokenDelta(token_ids=[1], finish_reason=FinishReason.STOP),
    ]
    assert llm.closed == ["r"]
    stats = engine.stats()
    assert stats.kv_blocks_total == 50
    assert stats.steps.prefilled_tokens == 6
    assert stats.steps.decoded_tokens == 3
    assert stats.steps.kv_tokens_read == 11 + 12 + 13


async def test_probabilities_pass_through(started):
    told = [[(7, -0.1), (8, -0.2)]]
    engine, _llm = await started(Piece([7], logprobs=told), Piece([1], "stop", logprobs=told))
    deltas = await collect(engine, request())
    assert [delta.logprobs for delta in deltas] == [told, told]


async def test_what_the_loaded_engine_does_not_do_is_refused(started):
    engine, llm = await started(Piece([7], "stop"))
    asked = request()
    wanted = msgspec.structs.replace(asked.sampling, min_p=0.5, priority=2)
    with pytest.raises(InvalidRequest, match="priority: this engine"):
        await collect(engine, msgspec.structs.replace(asked, sampling=wanted))
    assert llm.asked == []


REFUSED = [
    pytest.param(request(tokens=100, transfer=TRANSFER), id="too long"),
    pytest.param(
        msgspec.structs.replace(
            request(transfer=TRANSFER), sampling=Sampling(max_tokens=5, priority=2)
        ),
        id="not supported",
    ),
]


@pytest.mark.parametrize("asked", REFUSED)
async def test_who_is_refused_leaves_no_kv_behind(started, asked):
    engine, llm = await started(Piece([7], "stop"))
    with pytest.raises(InvalidRequest):
        await collect(engine, asked)
    assert (llm.asked, llm.released) == ([], [TRANSFER])


@pytest.mark.parametrize("asked", REFUSED)
async def test_who_would_be_refused_is_told_before_a_prefill_is_made_elsewhere(started, asked):
    engine, _llm = await started()
    with pytest.raises(InvalidRequest):
        await engine.reserve(asked)


async def test_what_has_all_its_tokens_leaves_no_kv_behind(started):
    engine, llm = await started()
    await collect(engine, request(osl=3, resumed=3, transfer=TRANSFER))
    assert llm.released == [TRANSFER]


async def test_only_what_vllm_could_find_is_released(started):
    engine, llm = await started()
    await engine.release({"do_remote_prefill": True})
    assert llm.released == []


@pytest.mark.parametrize(("extras", "given"), [(("priority",), 5), ((), 0)])
async def test_a_prefill_has_its_priority_where_the_engine_has_any(started, extras, given):
    engine, llm = await started(Piece([7], "length", transfer=TRANSFER))
    llm.capacity = dataclasses.replace(CAPACITY, extras=extras)
    sampling = Sampling(max_tokens=4, priority=5, logprobs=1)
    await engine.prefill(msgspec.structs.replace(request(), sampling=sampling))
    assert llm.priorities == [given]


async def test_an_aborted_request_ends_without_a_reason(started):
    engine, _llm = await started(Piece([7]))
    async with aclosing(engine.generate(request())) as deltas:
        assert (await anext(deltas)).token_ids == [7]
        await engine.abort("r")
        assert [delta async for delta in deltas] == []


class StuckLlm(FakeLlm):
    """Never gets the KV that it is to fetch."""

    async def generate(self, request_id, token_ids, sampling, *, priority=0):
        if "extra_args" in sampling:
            self.asked.append(sampling)
            try:
                await self._aborted.wait()
                yield Piece([], ABORTED)
            finally:
                self.closed.append("stuck")
        else:
            async for piece in super().generate(request_id, token_ids, sampling):
                yield piece


async def stuck(*pieces, transfer_timeout=0.5):
    llm = StuckLlm(*pieces)
    totals = Totals(on_step=lambda seconds: None, clock=lambda: 0.0)
    engine = VllmEngine(
        FakeLoading(llm), totals, index=PrefixIndex(), transfer_timeout=transfer_timeout
    )
    await engine.start()
    return engine, llm, totals


async def test_kv_that_never_comes_is_computed_here():
    engine, llm, _totals = await stuck(Piece([7]), Piece([8], "length"))
    deltas = await collect(engine, request(transfer=TRANSFER))
    assert [delta.token_ids for delta in deltas] == [[7], [8]]
    assert llm.closed == ["stuck", "r"]
    stats = engine.stats()
    assert (stats.transfers.failed, stats.waiting_tokens) == (1, 0)
    await engine.close()


async def test_the_wait_for_a_place_is_no_wait_for_kv():
    engine, llm, totals = await stuck(Piece([7], "length"))
    totals.record(Report(running=4, waiting=2, without_room=1))
    asking = asyncio.create_task(collect(engine, request(transfer=TRANSFER)))
    await asyncio.sleep(0.8)
    assert llm.closed == []
    totals.record(Report(running=4, waiting=1, without_room=0))
    assert len(await asking) == 1
    await engine.close()


async def test_a_request_that_is_aborted_while_its_kv_is_awaited_ends():
    engine, llm, _totals = await stuck(transfer_timeout=60.0)
    asking = asyncio.create_task(collect(engine, request(transfer=TRANSFER)))
    await asyncio.sleep(0.05)
    await engine.abort("r")
    assert await asking == []
    assert llm.closed == ["stuck"]
    await engine.close()


async def test_who_stops_waiting_for_kv_aborts():
    engine, llm, _totals = await stuck(transfer_timeout=60.0)
    asking = asyncio.create_task(collect(engine, request(transfer=TRANSFER)))
    await asyncio.sleep(0.05)
    asking.cancel()
    await asyncio.wait({asking})
    assert llm.closed == ["stuck"]
    await engine.close()


async def test_who_stops_reading_aborts(started):
    engine, llm = await started(Piece([7]))
    async with aclosing(engine.generate(request())) as deltas:
        await anext(deltas)
    assert llm.closed == ["r"]
    assert engine.stats().waiting_tokens == 0


async def test_a_prefill_says_where_its_kv_is(started):
    engine, llm = await started(Piece([7], "length", cached_tokens=3, transfer=TRANSFER))
    prefilled = await engine.prefill(request())
    assert (prefilled.transfer, prefilled.cached_tokens) == (TRANSFER, 3)
    assert llm.asked[0]["max_tokens"] == 1


async def test_a_prefill_that_is_aborted_is_cancelled(started):
    engine, _llm = await started()
    task = asyncio.create_task(engine.prefill(request()))
    await asyncio.sleep(0)
    await engine.abort("r")
    with pytest.raises(Cancelled):
        await task


async def test_a_prefill_without_a_place_is_a_fault(started):
    engine, _llm = await started(Piece([7], "length"))
    with pytest.raises(RuntimeFault, match="no place"):
        await engine.prefill(request())


async def test_a_transfer_goes_to_the_engine_unless_it_could_only_wait_for_it(started):
    engine, llm = await started(Piece([7], "length"))
    await collect(engine, request(transfer=TRANSFER))
    await collect(engine, request(transfer={"engine": "simulated"}))
    assert llm.asked[0]["extra_args"] == {"kv_transfer_params": TRANSFER}
    assert "extra_args" not in llm.asked[1]
    assert engine.stats().transfers.failed == 1


async def test_what_vllm_gives_up_is_a_fault(started):
    engine, _llm = await started(Piece([], "error"))
    with pytest.raises(RuntimeFault, match="error"):
        await collect(engine, request())


async def test_prompts_that_leave_no_room_are_refused(started):
    engine, llm = await started(Piece([7], "length"))
    for attempt in (
        collect(engine, request(tokens=100)),
        engine.prefill(request(tokens=100)),
        engine.reserve(request(tokens=100)),
    ):
        with pytest.raises(InvalidRequest, match="100"):
            await attempt
    await engine.reserve(request(tokens=99))
    assert llm.asked == []


async def test_a_resumed_request_that_is_complete_asks_for_nothing(started):
    engine, llm = await started()
    (delta,) = await collect(engine, request(osl=3, resumed=3))
    assert delta.finish_reason is FinishReason.LENGTH
    assert llm.asked == []


async def test_the_prefix_cache_is_what_events_told():
    index = PrefixIndex()
    engine = engine_of(FakeLlm(), index)
    assert engine.uncached_tokens([1, 2, 3]) == 3
    index.apply([Stored(block_hashes=[1], parent_block_hash=None, token_ids=[1, 2], block_size=2)])
    assert engine.uncached_tokens([1, 2, 3]) == 1


async def test_the_death_of_the_engine_is_seen(started):
    engine, llm = await started()
    waiting = asyncio.create_task(engine.wait_failed())
    await asyncio.sleep(0)
    llm.is_failed = True
    assert "vLLM" in await asyncio.wait_for(waiting, 5)


async def test_an_engine_that_does_not_load_says_why():
    totals = Totals(on_step=lambda seconds: None, clock=lambda: 0.0)
    engine = VllmEngine(FakeLoading(None, fails=True), totals, index=PrefixIndex())
    with pytest.raises(InvalidRequest, match="no such argument"):
        await engine.start()
    await engine.close()
    assert engine.stats().kv_blocks_total is None


async def test_closing_while_it_loads_stops_that():
    class Slow(FakeLoading):
        stopped = threading.Event()

        def load(self):
            self.stopped.wait(30)
            raise RuntimeFault("stopped")

        def stop(self):
            self.stopped.set()

    totals = Totals(on_step=lambda seconds: None, clock=lambda: 0.0)
    loading = Slow(None)
    engine = VllmEngine(loading, totals, index=PrefixIndex())
    starting = asyncio.create_task(engine.start())
    await asyncio.sleep(0.01)
    starting.cancel()
    await asyncio.wait({starting})
    await engine.close()
    assert loading.stopped.is_set()


async def test_closing_ends_the_engine(started):
    engine, llm = await started()
    await engine.close()
    assert llm.is_closed
