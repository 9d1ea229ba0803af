"""Samples of one engine over HTTP: its own count of steps, or nothing that cannot be trusted."""

import pytest

from profiler.loadgen import Prompts
from profiler.ports import MeasuringFailed


async def test_a_prompt_takes_what_the_engine_counted(measuring) -> None:
    async with measuring(prefill_seconds=0.03) as (live, engine):
        first, second = await live.prefill(100), await live.prefill(100)

    assert first.isl == 100
    assert first.ttft_seconds == pytest.approx(0.03)
    assert second.ttft_seconds == pytest.approx(0.03)
    assert engine.seen[0][:16] != engine.seen[1][:16]


async def test_a_short_prompt_that_was_held_up_once_is_as_fast_as_ever(measuring) -> None:
    async with measuring(prefill_seconds=0.02, holds_up={2: 0.2}) as (live, engine):
        sample = await live.prefill(100)

    assert sample.ttft_seconds == pytest.approx(0.02)
    assert 3 <= len(engine.seen) <= 5


async def test_a_step_is_the_usual_one_whatever_holds_up_a_few(measuring) -> None:
    async with measuring(step_seconds=0.004, every=30, slow_step=0.1) as (live, _):
        sample = await live.decode(concurrency=2, context=300)

    assert sample.itl_seconds == pytest.approx(0.004)


async def test_without_counts_a_prompt_takes_what_the_client_waited(measuring) -> None:
    async with measuring(prefill_seconds=0.05, counts=False) as (live, _):
        assert (await live.prefill(10)).ttft_seconds >= 0.05


async def test_a_batch_is_what_the_engine_held_and_not_what_was_asked_for(measuring) -> None:
    async with measuring(step_seconds=0.002) as (live, _):
        sample = await live.decode(concurrency=5, context=500)

    assert sample.batch == pytest.approx(5)
    assert sample.kv_tokens / sample.batch == pytest.approx(500, rel=0.25)
    assert sample.itl_seconds == pytest.approx(0.002)
    assert sample.steps >= 64


async def test_requests_end_with_their_sample(measuring) -> None:
    async with measuring() as (live, _):
        await live.decode(concurrency=3, context=100)
        sample = await live.prefill(50)  # waits for an idle engine

    assert sample.isl == 50


async def test_without_counts_a_batch_is_timed_by_its_tokens(measuring) -> None:
    async with measuring(step_seconds=0.004, counts=False) as (live, _):
        sample = await live.decode(concurrency=2, context=300)

    assert sample.batch == 2
    assert sample.kv_tokens / 2 == pytest.approx(300, rel=0.25)
    assert 0.004 <= sample.itl_seconds < 0.02


REFUSED = [
    pytest.param({"cached": 16}, 40, "in its cache", id="a cached prompt"),
    pytest.param({"refuses": "out of memory"}, 40, "HTTP 503: out of memory", id="503"),
    pytest.param({"breaks_after": 0}, 40, "the engine died", id="an error in it"),
]


@pytest.mark.parametrize(("settings", "isl", "why"), REFUSED)
async def test_a_prompt_that_says_nothing_is_refused(measuring, settings, isl, why) -> None:
    async with measuring(**settings) as (live, _):
        with pytest.raises(MeasuringFailed, match=why):
            await live.prefill(isl)


async def test_tokens_in_bursts_say_nothing_of_an_engine_that_counts_no_steps(measuring) -> None:
    async with measuring(counts=False, together=8) as (live, _):
        with pytest.raises(MeasuringFailed, match="bursts"):
            await live.decode(concurrency=2, context=100)


async def test_a_request_that_dies_spoils_its_batch(measuring) -> None:
    async with measuring(breaks_after=5) as (live, _):
        with pytest.raises(MeasuringFailed, match="the engine died"):
            await live.decode(concurrency=2, context=100)


async def test_an_engine_that_hangs_is_given_up(measuring) -> None:
    async with measuring(prefill_seconds=30.0, patience=0.3) as (live, _):
        with pytest.raises(MeasuringFailed, match=r"a prompt of 9 tokens: not measured in 0\.3 s"):
            await live.prefill(9)


def test_a_standing_prompt_begins_like_its_longer_self() -> None:
    prompts = Prompts("m", seed=7)
    short, long = prompts.standing(3, 40, osl=1), prompts.standing(3, 400, osl=1)

    assert long.startswith(short[: short.index(b"]")])
    assert not prompts.standing(4, 400, osl=1).startswith(short[: short.index(b"]")])
