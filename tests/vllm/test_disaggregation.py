"""One prefill and one decode worker with real engines: what is moved is what counts."""

import asyncio
from contextlib import aclosing

import pytest
from msgspec.structs import replace

from runtime.errors import InvalidRequest
from runtime.protocol import FinishReason, Sampling, TokenDelta
from workers.engine import Prefilled

pytestmark = [pytest.mark.vllm, pytest.mark.asyncio(loop_scope="session")]


def tokens(deltas):
    return [token for delta in deltas for token in delta.token_ids]


def grown(before, after):
    return {name: after[name] - before.get(name, 0) for name in after}


async def test_every_prompt_token_comes_by_transfer_and_the_answer_is_the_same(
    deployment, trio, requests, ask
):
    alone, client = await deployment.client("aggregated"), await deployment.client("decode")
    asked = [requests.make(tokens=500 + 37 * number) for number in range(4)]
    prompts = sum(len(one.token_ids) for one in asked)
    prefill, decode = await deployment.page(trio.prefill), await deployment.page(trio.decode)

    answers = await asyncio.gather(*(ask(client, one) for one in asked))

    await deployment.until_idle(trio.prefill)
    prefilled = grown(prefill, await deployment.page(trio.prefill))
    decoded = grown(decode, await deployment.page(trio.decode))
    assert decoded["kv_received_tokens_total"] == decoded["prompt_tokens_total"] == prompts
    assert decoded["kv_transfers_received_total"] == len(asked)
    assert decoded["kv_transfers_failed_total"] == decoded["local_prefills_total"] == 0
    assert decoded["remote_prefills_total/done"] == len(asked)
    assert decoded["kv_received_bytes_total"] > prompts * 256
    assert decoded["prefilled_tokens_total"] == 0
    assert prefilled["prefilled_tokens_total"] == prompts
    assert prefilled["generated_tokens_total"] == len(asked)
    assert [deltas[0].remote_prefill for deltas in answers] == [True] * len(asked)

    expected = await asyncio.gather(*(ask(alone, one) for one in asked))
    assert [tokens(deltas) for deltas in answers] == [tokens(deltas) for deltas in expected]
    assert all(deltas[-1].finish_reason is FinishReason.LENGTH for deltas in answers)


async def test_falsified_blocks_show_in_the_answer(
    deployment, trio, requests, ask, nothing_sent_away
):
    """The KV of another prompt of the same length: without it the test above could not fail.

    The last token is computed where it is decoded, so it is the same in both.
    """
    client, alone = await deployment.client("decode"), await deployment.client("aggregated")
    prefill = await deployment.client("prefill")
    truth = requests.make(tokens=300)
    shuffled = [1900, *reversed(truth.token_ids[1:-1]), truth.token_ids[-1]]
    other = replace(truth, request_id="other", token_ids=shuffled)
    (prefilled,) = [each async for each in await prefill.generate(other, response_type=Prefilled)]

    forged = replace(truth, request_id="forged", transfer=prefilled.transfer)
    answer = tokens(await ask(client, forged))

    assert answer == tokens(await ask(alone, other))
    assert answer != tokens(await ask(alone, truth))
    await deployment.until_idle(trio.prefill)


async def test_a_short_or_known_prompt_is_prefilled_where_it_is_decoded(
    deployment, trio, requests, ask
):
    client, one = await deployment.client("decode"), requests.make(tokens=500)
    assert (await ask(client, one))[0].remote_prefill is True
    again = await ask(client, replace(one, request_id="again"))
    assert again[0].remote_prefill is False
    assert again[0].cached_tokens == 480  # whole blocks
    assert (await ask(client, requests.make(tokens=60)))[0].remote_prefill is False


async def test_a_cancelled_stream_frees_its_blocks_on_both_sides(deployment, trio, requests):
    client = await deployment.client("decode")
    stream = await client.generate(requests.make(osl=1500), response_type=TokenDelta)
    async with aclosing(stream) as deltas:
        seen = [await anext(deltas) for _ in range(3)]
    assert seen[0].remote_prefill is True
    await deployment.until_idle(trio.decode)
    await deployment.until_idle(trio.prefill)
    page = await deployment.page(trio.decode)
    assert page["in_flight_requests"] == 0


async def test_sampling_reaches_the_engine(deployment, trio, requests, ask):
    client = await deployment.client("aggregated")
    plain = requests.make(osl=8)
    said = tokens(await ask(client, plain))
    stops = replace(plain, request_id="s", sampling=Sampling(
        max_tokens=8, temperature=0.0, ignore_eos=True, stop_token_ids=(said[3],)))  # fmt: skip
    stopped = await ask(client, stops)
    assert tokens(stopped) == said[: said.index(said[3]) + 1]
    assert stopped[-1].finish_reason is FinishReason.STOP

    drawn = [
        tokens(await ask(client, replace(plain, request_id=f"d{number}", sampling=Sampling(
            max_tokens=32, temperature=2.0, seed=seed, ignore_eos=True))))
        for number, seed in enumerate((1, 1, 2))
    ]  # fmt: skip
    assert drawn[0] == drawn[1] != drawn[2]

    resumed = replace(plain, request_id="m", token_ids=plain.token_ids + said[:5], resumed=5)
    assert tokens(await ask(client, resumed)) == said[5:]


async def test_a_prompt_that_never_fits_is_refused(deployment, trio, requests, ask):
    for role in ("aggregated", "decode"):
        with pytest.raises(InvalidRequest, match="2048"):
            await ask(await deployment.client(role), requests.make(tokens=2048))
