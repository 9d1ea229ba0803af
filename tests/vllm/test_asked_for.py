"""What clients may ask of a real engine beyond plain text, through the frontend; and sleep."""

import aiohttp
import openai
import pytest
from msgspec.structs import replace

from runtime.protocol import Sampling

pytestmark = [pytest.mark.vllm, pytest.mark.asyncio(loop_scope="session")]

MESSAGES = [{"role": "user", "content": "Tell me about replicas. " * 30}]
GREEDY = {"model": "tiny", "messages": MESSAGES, "temperature": 0, "max_tokens": 12}


async def said(frontend, **fields) -> str:
    answer = await frontend.chat.completions.create(**GREEDY | fields)
    return answer.choices[0].message.content


async def test_each_token_comes_with_its_probability(trio, frontend):
    """From the aggregated worker, and by a prefill elsewhere, in turns."""
    found = []
    for _ in range(4):
        answer = await frontend.chat.completions.create(**GREEDY, logprobs=True, top_logprobs=3)
        choice = answer.choices[0]
        content = choice.logprobs.content
        shown = b"".join(bytes(one.bytes) for one in content if not one.token.startswith("<|"))
        assert shown.decode(errors="replace") == choice.message.content
        for one in content:
            likeliest = [top.logprob for top in one.top_logprobs]
            assert one.logprob == likeliest[0] == max(likeliest)
            assert likeliest == sorted(likeliest, reverse=True)
            assert len(likeliest) == 3
        found.append([round(one.logprob, 2) for one in content])
    assert found == [found[0]] * 4


async def test_streamed_probabilities_are_the_same(trio, frontend):
    whole = await frontend.chat.completions.create(**GREEDY, logprobs=True)
    stream = await frontend.chat.completions.create(**GREEDY, logprobs=True, stream=True)
    choices = [chunk.choices[0] async for chunk in stream]
    streamed = [one for choice in choices if choice.logprobs for one in choice.logprobs.content]
    assert [one.token for one in streamed] == [
        one.token for one in whole.choices[0].logprobs.content
    ]


async def test_a_completion_has_its_own_form(trio, frontend):
    answer = await frontend.completions.create(
        model="tiny", prompt="the planner", temperature=1.5, seed=3, max_tokens=6, logprobs=2
    )
    told = answer.choices[0].logprobs
    assert len(told.tokens) == len(told.token_logprobs) == len(told.text_offset)
    for token, logprob, top in zip(
        told.tokens, told.token_logprobs, told.top_logprobs, strict=True
    ):
        assert top[token] == logprob
        assert len(top) in {2, 3}


async def test_biases_and_penalties_shape_the_answer(trio, frontend):
    plain = await said(frontend)
    forced = {"logit_bias": {"300": 100}, "max_tokens": 90, "extra_body": {"ignore_eos": True}}
    always = await said(frontend, **forced)
    unit = always[: len(always) // 90]
    assert always == unit * 90 != plain
    assert await said(frontend, **forced, frequency_penalty=2.0) != always
    assert await said(frontend, **forced, presence_penalty=2.0) == always  # 2 of 100
    drawn = {"temperature": 2.0, "seed": 5}
    assert await said(frontend, **drawn) != plain
    assert await said(frontend, **drawn, extra_body={"min_p": 1.0}) == plain
    again = await said(frontend, extra_body={"repetition_penalty": 2.0})
    assert again != plain


async def test_priority_needs_engines_that_have_any(deployment, trio, frontend, requests, ask):
    """The aggregated worker is started with it, the decode worker is not."""
    with pytest.raises(openai.BadRequestError) as refused:
        await frontend.chat.completions.create(**GREEDY, extra_body={"priority": 1})
    assert refused.value.param == "priority"
    one = requests.make(osl=3)
    first = replace(one, sampling=Sampling(max_tokens=3, ignore_eos=True, priority=-1))
    answer = await ask(await deployment.client("aggregated"), first)
    assert sum(len(delta.token_ids) for delta in answer) == 3


async def test_on_a_cpu_a_worker_says_why_it_does_not_sleep(deployment, trio, requests, ask):
    (record,) = (await deployment.client("aggregated")).instances
    url = record.metadata["metrics_url"].replace("/metrics", "/sleep")
    async with aiohttp.ClientSession() as session, session.post(url) as answer:
        assert answer.status == 501
        assert "vLLM frees no memory on a CPU" in await answer.text()
    assert await ask(await deployment.client("aggregated"), requests.make(osl=2))


async def test_start_up_is_told_stage_by_stage(deployment, trio):
    page = await deployment.page(trio.aggregated)
    stages = (
        "process",
        "imports",
        "spawn",
        "weights",
        "compile",
        "engine",
        "warm-up",
        "registered",
    )
    times = [page[f"start_seconds/{stage}"] for stage in stages]
    assert times == sorted(times)
    assert times[0] > 0
