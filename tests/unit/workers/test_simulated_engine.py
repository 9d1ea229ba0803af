"""The engine's loop on loop time: paced by the law, catching up, leaving nothing behind."""

import asyncio
from contextlib import aclosing
from dataclasses import replace
from itertools import pairwise
from random import Random

import msgspec
import pytest

from planner.core.engine import DecodeLaw, EngineLimits, EngineModel, PrefillLaw
from runtime.errors import Cancelled, InvalidRequest, RuntimeFault
from runtime.protocol import NEUTRAL, FinishReason, GenerateRequest, Sampling
from workers.engine import TransferTotals
from workers.simulated.engine import Pace, SimulatedEngine
from workers.simulated.follower import Follower
from workers.simulated.scheduler import Limits

pytestmark = pytest.mark.looptime

MODEL = EngineModel(
    prefill=PrefillLaw(base_seconds=0.010, token_seconds=1e-5, token_squared_seconds=0.0),
    decode=DecodeLaw(base_seconds=0.005, request_seconds=0.0, kv_token_seconds=0.0),
    limits=EngineLimits(
        max_num_batched_tokens=8192,
        max_num_seqs=256,
        block_size=16,
        kv_capacity_tokens=1600,
        kv_bytes_per_token=1000,
        transfer_bytes_per_second=1e6,
    ),
)
FOLLOWER = Follower(list(range(100, 200)), openings=[100], sentence_ends=set(), eos=2)


def request(name: str = "r", prompt: int = 100, osl: int = 3, **fields) -> GenerateRequest:
    start = sum(name.encode()) * 1000
    return GenerateRequest(
        request_id=name,
        token_ids=list(range(start, start + prompt)),
        sampling=Sampling(max_tokens=osl),
        **fields,
    )


@pytest.fixture
async def make():
    engines = []

    async def start(limits: Limits | None = None, **pace) -> SimulatedEngine:
        engine = SimulatedEngine(
            MODEL, limits or Limits(kv_blocks=100), follower=FOLLOWER, pace=Pace(**pace)
        )
        engines.append(engine)
        await engine.start()
        return engine

    yield start
    for engine in engines:
        assert engine.stats().kv_blocks_used == 0
        assert engine.stats().running == engine.stats().waiting == 0
        await engine.close()


async def collect(engine: SimulatedEngine, one: GenerateRequest):
    loop = asyncio.get_running_loop()
    began = loop.time()
    return [(loop.time() - began, delta) async for delta in engine.generate(one)]


async def test_tokens_come_at_the_times_of_the_law(make):
    engine = await make()
    deltas = await collect(engine, request())
    # 10 ms + 100 * 10 us = 11 ms, then 5 ms a token.
    assert [at for at, _ in deltas] == pytest.approx([0.011, 0.016, 0.021], abs=1e-6)
    assert [len(delta.token_ids) for _, delta in deltas] == [1, 1, 1]
    assert deltas[0][1].cached_tokens == 0
    assert deltas[-1][1].finish_reason is FinishReason.LENGTH


async def test_a_prefix_seen_before_is_told_with_the_first_delta(make):
    engine = await make()
    await collect(engine, request())
    assert engine.uncached_tokens(request().token_ids) == 4
    deltas = await collect(engine, request())
    assert [delta.cached_tokens for _, delta in deltas] == [96, None, None]


ASKED = {
    "min_p": 0.1, "frequency_penalty": 0.5, "presence_penalty": 0.5, "repetition_penalty": 1.1,
    "logit_bias": {5: 1.0}, "logprobs": 0, "priority": 1,
}  # fmt: skip


@pytest.mark.parametrize("name", NEUTRAL)
async def test_what_it_does_not_do_is_refused_by_name(make, name):
    engine = await make()
    with pytest.raises(InvalidRequest, match=f"^{name}: "):
        await collect(engine, shaped(**{name: ASKED[name]}))
    assert len(await collect(engine, shaped(**{name: NEUTRAL[name]}))) == 3


def shaped(**sampling) -> GenerateRequest:
    asked = request()
    chosen = msgspec.structs.replace(asked.sampling, **sampling)
    return msgspec.structs.replace(asked, sampling=chosen)


@pytest.mark.parametrize(("speedup", "ttft"), [(1.0, 0.011), (10.0, 0.0011)])
async def test_speedup_divides_every_time(make, speedup, ttft):
    engine = await make(speedup=speedup)
    deltas = await collect(engine, request())
    assert deltas[0][0] == pytest.approx(ttft, abs=1e-6)


async def test_cold_start_takes_its_time(make):
    began = asyncio.get_running_loop().time()
    await make(cold_start=3.0, speedup=10.0)
    assert asyncio.get_running_loop().time() - began == pytest.approx(3.0)


async def test_a_late_machine_catches_up(make, monkeypatch):
    engine = await make()
    sleep, calls = asyncio.sleep, []

    async def late(seconds: float) -> None:
        calls.append(seconds)
        await sleep(seconds + (0.022 if len(calls) == 3 else 0))

    monkeypatch.setattr(asyncio, "sleep", late)
    times = [at for at, _ in await collect(engine, request(osl=20))]
    assert times[2] == pytest.approx(0.021 + 0.022, abs=1e-6)
    assert times[-1] == pytest.approx(0.011 + 19 * 0.005, abs=1e-6)
    assert min(calls) >= 0


async def test_tokens_that_nobody_fetched_come_together(make):
    engine = await make()
    sizes = []
    async for delta in engine.generate(request(osl=20)):
        sizes.append(len(delta.token_ids))
        if len(sizes) == 2:
            await asyncio.sleep(0.051)
    assert sizes == [1, 1, 10, *[1] * 8]


async def test_noise_changes_times_and_not_their_mean(make):
    engine = await make(noise=0.2, rng=Random(1))
    deltas = await collect(engine, request(osl=400))
    gaps = [b - a for (a, _), (b, _) in pairwise(deltas)]
    assert len({round(gap, 6) for gap in gaps}) > 100
    assert sum(gaps) / len(gaps) == pytest.approx(0.005, rel=0.05)


async def test_a_reader_that_leaves_frees_everything(make):
    engine = await make()
    async with aclosing(engine.generate(request(osl=1000))) as deltas:
        await anext(deltas)
        assert engine.stats().kv_blocks_used > 0
    assert engine.stats().kv_blocks_used == 0


async def test_abort_ends_the_response_without_a_reason(make):
    engine = await make()
    deltas = []
    async for delta in engine.generate(request(osl=1000)):
        deltas.append(delta)
        if len(deltas) == 2:
            await engine.abort("r")
    assert deltas[-1].finish_reason is None
    await engine.abort("unknown")


async def test_a_cancelled_reader_frees_everything(make):
    engine = await make()
    task = asyncio.create_task(collect(engine, request(osl=1000)))
    await asyncio.sleep(0.1)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task


async def test_what_can_never_fit_is_refused(make):
    engine = await make()
    with pytest.raises(InvalidRequest):
        await collect(engine, request(prompt=5000))
    with pytest.raises(InvalidRequest):
        await engine.reserve(request(prompt=5000))


async def test_a_finished_request_that_is_resumed_ends_at_once(make):
    engine = await make()
    deltas = await collect(engine, request(osl=3, resumed=3))
    assert [(d.token_ids, d.finish_reason) for _, d in deltas] == [([], FinishReason.LENGTH)]


async def test_prefill_here_and_decode_there(make):
    prefill, decode = await make(), await make()
    whole = [d.token_ids for _, d in await collect(await make(), request())]
    loop = asyncio.get_running_loop()

    began = loop.time()
    await decode.reserve(request())
    assert decode.stats().kv_blocks_used == 7
    result = await prefill.prefill(request())
    assert loop.time() - began == pytest.approx(0.011)
    assert result.transfer["tokens"] == 100
    assert prefill.stats().kv_blocks_used == 0

    deltas = await collect(decode, request(transfer=result.transfer))
    # 100 tokens * 1000 bytes at 1 MB/s = 100 ms, then one decode step a token.
    assert [at for at, _ in deltas] == pytest.approx([0.105, 0.110, 0.115], abs=1e-6)
    assert [delta.token_ids for _, delta in deltas] == whole
    assert decode.stats().transfers == TransferTotals(
        received=1, failed=0, tokens=100, bytes=100_000, seconds=pytest.approx(0.1)
    )


async def test_a_reservation_can_be_computed_here(make):
    engine = await make()
    await engine.reserve(request())
    deltas = await collect(engine, request())
    assert deltas[0][0] == pytest.approx(0.011, abs=1e-6)


async def test_transfer_without_a_reservation_makes_one(make):
    engine = await make()
    deltas = await collect(engine, request(transfer={"engine": "simulated"}))
    assert deltas[0][0] == pytest.approx(0.105, abs=1e-6)


async def test_decode_goes_on_while_a_reservation_waits(make):
    engine = await make()
    await engine.reserve(request("held", prompt=800))
    deltas = await collect(engine, request("other"))
    assert deltas[-1][0] == pytest.approx(0.021, abs=1e-6)
    await engine.abort("held")


async def test_a_reservation_waits_in_line_for_blocks(make):
    engine = await make()
    await engine.reserve(request("first", prompt=1500))
    second = asyncio.create_task(engine.reserve(request("second", prompt=1500)))
    await asyncio.sleep(1)
    assert not second.done()
    await engine.abort("first")
    await second
    await engine.abort("second")


@pytest.mark.parametrize("how", ["cancel", "abort"])
async def test_a_reservation_that_is_given_up_holds_nothing(make, how):
    engine = await make()
    await engine.reserve(request("first", prompt=1500))
    second = asyncio.create_task(engine.reserve(request("second", prompt=1500)))
    await asyncio.sleep(1)
    if how == "cancel":
        second.cancel()
        expected: type[BaseException] = asyncio.CancelledError
    else:
        await engine.abort("second")
        expected = Cancelled
    with pytest.raises(expected):
        await second
    await engine.abort("first")


async def test_an_engine_that_fails_says_so_to_everyone(make):
    engine = await make()
    engine._on_step = lambda seconds: 1 / 0
    with pytest.raises(RuntimeFault, match="ZeroDivisionError"):
        await collect(engine, request())
    assert "ZeroDivisionError" in await engine.wait_failed()


async def test_closing_ends_what_runs(make):
    engine = await make()
    task = asyncio.create_task(collect(engine, request(osl=1000)))
    await asyncio.sleep(0.1)
    await engine.close()
    assert (await task)[-1][1].finish_reason is None


async def test_the_law_of_the_sums_over_steps_is_the_time_they_took():
    law = replace(
        MODEL,
        prefill=replace(MODEL.prefill, token_squared_seconds=1e-8),
        decode=DecodeLaw(base_seconds=0.005, request_seconds=1e-4, kv_token_seconds=1e-6),
    )
    took: list[float] = []
    limits = Limits(kv_blocks=1000, token_budget=64)
    engine = SimulatedEngine(law, limits, follower=FOLLOWER, on_step=took.append)
    await engine.start()
    names = [f"{prompt}" for prompt in (100, 300, 7)]
    async with asyncio.TaskGroup() as group:
        for name in names:
            group.create_task(collect(engine, request(name, prompt=int(name), osl=20)))
    steps = engine.stats().steps
    await engine.close()

    assert steps.prefilled_tokens == 407
    assert steps.prefilled_squared_tokens == 100**2 + 300**2 + 7**2
    assert steps.decoded_tokens == engine.stats().generated_tokens - len(names)
    prefill, decode = law.prefill, law.decode
    seconds = (
        len(took) * decode.base_seconds
        + steps.prefill_steps * (prefill.base_seconds - decode.base_seconds)
        + decode.request_seconds * steps.decoded_tokens
        + decode.kv_token_seconds * steps.kv_tokens_read
        + prefill.token_seconds * steps.prefilled_tokens
        + prefill.token_squared_seconds * steps.prefilled_squared_tokens
    )
    assert sum(took) == pytest.approx(seconds)
