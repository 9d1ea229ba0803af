"""One prefill and one decode worker with real engines: the KV that is moved is the KV that counts."""

import asyncio

import pytest

from runtime.protocol import FinishReason

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
