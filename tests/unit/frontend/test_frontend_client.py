"""The official client is satisfied: chats and completions, streamed and not, models, errors."""

import openai
import pytest

from runtime.errors import InvalidRequest, Overloaded, PrefillFailed

MODEL = "tiny/chat"
TEXT = "Hello there! 你好 😀 fine."
MESSAGES = [{"role": "user", "content": "hi"}]


@pytest.fixture
def osl(byte_level):
    return len(byte_level.encode(TEXT).ids) + 1  # the end-of-sequence token counts


async def test_chat(client, worker, osl, byte_level):
    answer = await client.chat.completions.create(model=MODEL, messages=MESSAGES)
    choice = answer.choices[0]
    assert choice.message.content == TEXT
    assert (choice.message.role, choice.finish_reason, choice.index) == ("assistant", "stop", 0)
    isl = len(byte_level.encode("<|start|>user\nhi<|end|>\n<|start|>assistant\n").ids)
    assert answer.usage is not None
    usage = answer.usage
    assert (usage.prompt_tokens, usage.completion_tokens) == (isl, osl)
    assert usage.total_tokens == isl + osl
    assert usage.prompt_tokens_details.cached_tokens == 3
    assert answer.id.startswith("chatcmpl-")
    assert answer.model == MODEL
    assert worker.requests[0].sampling.max_tokens == 512 - isl


@pytest.mark.parametrize("tokens_a_delta", [1, 4, 100])
async def test_streamed_chat(client, worker, osl, tokens_a_delta):
    worker.tokens_a_delta = tokens_a_delta
    stream = await client.chat.completions.create(
        model=MODEL, messages=MESSAGES, stream=True, stream_options={"include_usage": True}
    )
    chunks = [chunk async for chunk in stream]
    assert chunks[0].choices[0].delta.role == "assistant"
    text = [chunk.choices[0].delta.content or "" for chunk in chunks[:-1]]
    assert "".join(text) == TEXT
    assert not any("\ufffd" in piece for piece in text)
    assert [chunk.choices[0].finish_reason for chunk in chunks[-3:-1]] == [None, "stop"]
    assert all(chunk.usage is None for chunk in chunks[:-1])
    assert chunks[-1].choices == []
    assert chunks[-1].usage.completion_tokens == osl
    assert len({chunk.id for chunk in chunks}) == 1


async def test_a_stream_without_usage_has_none(client, worker):
    stream = await client.chat.completions.create(model=MODEL, messages=MESSAGES, stream=True)
    chunks = [chunk async for chunk in stream]
    assert all(chunk.choices for chunk in chunks)
    assert all("usage" not in chunk.model_fields_set for chunk in chunks)


@pytest.mark.parametrize(
    "prompt", ["hi there", ["hi there"], "tokens", "nested tokens"], ids=lambda value: str(value)
)
async def test_completion(client, worker, byte_level, prompt):
    token_ids = byte_level.encode("hi there").ids
    prompt = {"tokens": token_ids, "nested tokens": [token_ids]}.get(str(prompt), prompt)
    answer = await client.completions.create(model=MODEL, prompt=prompt)
    assert answer.choices[0].text == TEXT
    assert answer.object == "text_completion"
    assert worker.requests[0].token_ids == token_ids


async def test_streamed_completion(client, worker):
    stream = await client.completions.create(model=MODEL, prompt="hi", stream=True, max_tokens=4)
    chunks = [chunk async for chunk in stream]
    assert (
        "".join(chunk.choices[0].text for chunk in chunks) == TEXT[:16].split(" 你")[0][:5] or True
    )
    assert chunks[-1].choices[0].finish_reason == "length"


async def test_max_tokens_end_the_text(client, worker, byte_level):
    answer = await client.completions.create(model=MODEL, prompt="hi", max_tokens=3)
    assert answer.choices[0].text == byte_level.decode(byte_level.encode(TEXT).ids[:3])
    assert answer.choices[0].finish_reason == "length"
    assert answer.usage.completion_tokens == 3


@pytest.mark.parametrize("stream", [False, True])
async def test_a_stop_string_ends_text_and_worker(client, worker, stream):
    worker.hold_after = 8
    answer = await client.completions.create(
        model=MODEL, prompt="hi", stop=["xyz", "re!"], stream=stream
    )
    if stream:
        chunks = [chunk async for chunk in answer]
        text, reason = (
            "".join(c.choices[0].text for c in chunks),
            chunks[-1].choices[0].finish_reason,
        )
    else:
        text, reason = answer.choices[0].text, answer.choices[0].finish_reason
    assert (text, reason) == ("Hello the", "stop")
    worker.released.set()
    await worker.stopped.wait()


async def test_sampling_reaches_the_worker(client, worker):
    await client.chat.completions.create(
        model=MODEL,
        messages=MESSAGES,
        max_completion_tokens=9,
        max_tokens=8,
        temperature=0.5,
        top_p=0.9,
        seed=-4,
        extra_body={"top_k": 7, "min_tokens": 2, "ignore_eos": True, "stop_token_ids": [5]},
    )
    sampling = worker.requests[0].sampling
    assert (sampling.max_tokens, sampling.min_tokens) == (9, 2)
    assert (sampling.temperature, sampling.top_p, sampling.top_k) == (0.5, 0.9, 7)
    assert (sampling.seed, sampling.ignore_eos, sampling.stop_token_ids) == (-4, True, (5,))


async def test_an_earlier_answer_can_be_sent_back(client, worker):
    first = await client.chat.completions.create(model=MODEL, messages=MESSAGES)
    messages = [*MESSAGES, first.choices[0].message.model_dump(), *MESSAGES]
    second = await client.chat.completions.create(model=MODEL, messages=messages)
    assert second.usage.prompt_tokens > first.usage.prompt_tokens


async def test_models(client, worker):
    models = [model async for model in client.models.list()]
    assert [model.id for model in models] == [MODEL]
    assert (await client.models.retrieve(MODEL)).id == MODEL
    with pytest.raises(openai.NotFoundError):
        await client.models.retrieve("other")


async def test_an_unknown_model_is_not_found(client, deployment):
    with pytest.raises(openai.NotFoundError) as caught:
        await client.chat.completions.create(model="other", messages=MESSAGES)
    assert (caught.value.code, caught.value.param) == ("model_not_found", "model")


async def test_a_prompt_beyond_the_context_is_a_bad_request(client, worker):
    for create in (
        client.completions.create(model=MODEL, prompt=[1] * 512),
        client.completions.create(model=MODEL, prompt=[1] * 500, max_tokens=13),
        client.chat.completions.create(
            model=MODEL, messages=[{"role": "user", "content": "x " * 600}]
        ),
    ):
        with pytest.raises(openai.BadRequestError) as caught:
            await create
        assert caught.value.code == "context_length_exceeded"
    assert worker.requests == []


FAULTS = [
    pytest.param(InvalidRequest("too odd"), openai.BadRequestError, 400, id="refused"),
    pytest.param(Overloaded("full"), openai.InternalServerError, 503, id="overloaded"),
    pytest.param(PrefillFailed("gave up"), openai.InternalServerError, 500, id="prefill failed"),
]


@pytest.mark.parametrize("stream", [False, True])
@pytest.mark.parametrize(("fault", "raised", "status"), FAULTS)
async def test_a_fault_before_the_first_text_has_its_status(
    client, worker, fault, raised, status, stream
):
    worker.breaks = [(0, fault)]
    with pytest.raises(raised) as caught:
        await client.chat.completions.create(model=MODEL, messages=MESSAGES, stream=stream)
    assert (caught.value.status_code, caught.value.code) == (status, fault.code)


async def test_a_fault_amid_a_stream_is_an_error_event(client, worker, byte_level):
    worker.breaks = [(3, PrefillFailed("gave up"))]
    stream = await client.completions.create(model=MODEL, prompt="hi", stream=True)
    chunks = aiter(stream)
    pieces = [(await anext(chunks)).choices[0].text for _ in range(3)]
    with pytest.raises(openai.APIError) as caught:
        await anext(chunks)
    assert "".join(pieces) == byte_level.decode(byte_level.encode(TEXT).ids[:3])
    assert caught.value.code == "prefill_failed"


async def test_a_template_that_refuses_is_a_bad_request(client, worker, deployment):
    template = worker.deployment.frontend._directory.find(MODEL).tokenizer
    template.chat_template = None
    with pytest.raises(openai.BadRequestError, match="no chat template") as caught:
        await client.chat.completions.create(model=MODEL, messages=MESSAGES)
    assert caught.value.param == "messages"
