"""The official client through a real frontend to real engines."""

import pytest

pytestmark = [pytest.mark.vllm, pytest.mark.asyncio(loop_scope="session")]

MESSAGES = [{"role": "user", "content": "Tell me about replicas. " * 30}]


async def test_chat_streams_and_counts(trio, frontend):
    stream = await frontend.chat.completions.create(
        model="tiny", messages=MESSAGES, max_tokens=24, stream=True,
        stream_options={"include_usage": True}, extra_body={"ignore_eos": True},
    )  # fmt: skip
    chunks = [chunk async for chunk in stream]
    assert chunks[-1].usage.completion_tokens == 24
    assert chunks[-1].usage.prompt_tokens > 100
    assert "".join(chunk.choices[0].delta.content or "" for chunk in chunks[:-1])
    assert chunks[-2].choices[0].finish_reason == "length"


async def test_the_same_question_gets_the_same_answer_from_whichever_worker(trio, frontend):
    """Greedy: from the aggregated worker, or by a prefill elsewhere, in turns."""
    answers = [
        await frontend.chat.completions.create(
            model="tiny", messages=MESSAGES, max_tokens=16, temperature=0, seed=1
        )
        for _ in range(4)
    ]
    assert len({answer.choices[0].message.content for answer in answers}) == 1
