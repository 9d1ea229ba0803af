"""Probabilities of tokens, penalties and the like: on their way to workers and back to clients."""

import pytest
from openai import BadRequestError

from runtime.errors import StreamBroken
from runtime.frontend.scores import ChatScores, CompletionScores
from runtime.frontend.token_names import TokenNames
from runtime.frontend.tokenizer import ModelTokenizer

MODEL = "tiny/chat"
MESSAGES = [{"role": "user", "content": "hi"}]
END = 0


async def streamed(client, **fields):
    stream = await client.chat.completions.create(
        model=MODEL, messages=MESSAGES, stream=True, **fields
    )
    return [chunk async for chunk in stream]


def shown(entries) -> bytes:
    return b"".join(bytes(entry.bytes) for entry in entries)


async def test_a_chat_tells_each_token_of_its_text(worker, client):
    answer = await client.chat.completions.create(
        model=MODEL, messages=MESSAGES, logprobs=True, top_logprobs=2
    )
    (choice,) = answer.choices
    content = choice.logprobs.content
    assert worker.requests[0].sampling.logprobs == 2
    assert shown(content).decode() == choice.message.content == worker.text
    assert [entry.logprob for entry in content] == [-0.5] * len(content)
    assert [[top.logprob for top in entry.top_logprobs] for entry in content] == [
        [-0.5, -1.0]
    ] * len(content)
    assert all(entry.top_logprobs[0].bytes == entry.bytes for entry in content)
    assert choice.logprobs.refusal is None


@pytest.mark.parametrize("tokens_a_delta", [1, 3, 100])
async def test_a_stream_tells_them_with_the_text_that_they_complete(worker, client, tokens_a_delta):
    worker.tokens_a_delta = tokens_a_delta
    chunks = await streamed(client, logprobs=True, stream_options={"include_usage": True})
    told = [chunk.choices[0] for chunk in chunks if chunk.choices]
    for choice in told[1:-1]:
        assert shown(choice.logprobs.content).decode() == choice.delta.content
        assert all(entry.top_logprobs == [] for entry in choice.logprobs.content)
    assert "".join(choice.delta.content or "" for choice in told) == worker.text
    assert told[-1].logprobs is None
    assert chunks[0].usage is None
    assert chunks[-1].usage.completion_tokens == 1 + sum(
        len(choice.logprobs.content) for choice in told[1:-1]
    )


async def test_tokens_before_a_stop_string_are_told_even_where_no_text_is_left(worker, client):
    chunks = await streamed(client, logprobs=True, stop=[worker.text[:5]])
    choices = [chunk.choices[0] for chunk in chunks]
    told = [entry for choice in choices if choice.logprobs for entry in choice.logprobs.content]
    assert shown(told).decode().startswith(worker.text[:5])
    assert "".join(choice.delta.content or "" for choice in choices) == ""
    assert choices[-1].finish_reason == "stop"


@pytest.mark.parametrize("stream", [False, True])
async def test_a_completion_tells_offsets_into_its_text(worker, client, stream):
    worker.text = "Hello 🙃 there é"
    answer = await client.completions.create(model=MODEL, prompt="hi", logprobs=1, stream=stream)
    choices = [c.choices[0] async for c in answer] if stream else answer.choices
    text = "".join(choice.text for choice in choices)
    told = [choice.logprobs for choice in choices if choice.logprobs]
    tokens = [token for each in told for token in each.tokens]
    offsets = [offset for each in told for offset in each.text_offset]
    assert text == worker.text
    assert offsets[0] == 0
    assert offsets == sorted(offsets)
    for token, offset in zip(tokens, offsets, strict=True):
        assert token.startswith("bytes:\\x") or text[offset:].startswith(token)
    assert any(token.startswith("bytes:") for token in tokens)
    for each in told:
        assert each.token_logprobs == [-0.5] * len(each.tokens)
        for token, top in zip(each.tokens, each.top_logprobs, strict=True):
            assert top[token] == -0.5


async def test_without_being_asked_for_nothing_is_told(worker, client):
    worker.logprobs = lambda token_ids, likeliest: [[(token, -1.0)] for token in token_ids]
    answer = await client.chat.completions.create(model=MODEL, messages=MESSAGES)
    assert answer.choices[0].logprobs is None
    chunks = await streamed(client)
    assert all(chunk.choices[0].logprobs is None for chunk in chunks)
    assert worker.requests[0].sampling.logprobs is None


async def test_a_response_that_migrates_tells_each_token_once(deployment, worker, client):
    await deployment.worker()
    await deployment.ready(2)
    worker.breaks = [(4, StreamBroken("gone"))]
    while worker.breaks:
        answer = await client.chat.completions.create(model=MODEL, messages=MESSAGES, logprobs=True)
    assert deployment.value("migrations_total") == 1
    assert shown(answer.choices[0].logprobs.content).decode() == worker.text


FIELDS = {
    "frequency_penalty": 0.5, "presence_penalty": -1.0, "repetition_penalty": 1.2, "min_p": 0.1,
    "logit_bias": {"5": -100.0, "7": 2.5}, "priority": -3,
}  # fmt: skip


async def test_what_shapes_the_choice_of_tokens_reaches_the_worker(worker, client):
    await client.chat.completions.create(model=MODEL, messages=MESSAGES, extra_body=FIELDS)
    sampling = worker.requests[0].sampling
    expected = FIELDS | {"logit_bias": {5: -100.0, 7: 2.5}}
    assert {name: getattr(sampling, name) for name in FIELDS} == expected


@pytest.mark.parametrize(
    ("name", "value"), [*FIELDS.items(), ("logprobs", True)], ids=[*FIELDS, "logprobs"]
)
async def test_what_the_engines_do_not_do_is_refused_by_name(deployment, client, name, value):
    worker = await deployment.worker(extras=())
    await deployment.ready()
    with pytest.raises(BadRequestError) as refused:
        await client.chat.completions.create(
            model=MODEL, messages=MESSAGES, extra_body={name: value}
        )
    assert refused.value.param == name
    assert refused.value.code == "unsupported_value"
    assert worker.requests == []


async def test_values_that_ask_for_nothing_pass_everywhere(deployment, client):
    neutral = {"frequency_penalty": 0, "presence_penalty": 0.0, "repetition_penalty": 1,
               "min_p": 0, "logit_bias": {}, "priority": 0, "logprobs": False,
               "top_logprobs": 0}  # fmt: skip
    worker = await deployment.worker(extras=("repetition_penalty",))
    await deployment.ready()
    await client.chat.completions.create(model=MODEL, messages=MESSAGES, extra_body=neutral)
    sampling = worker.requests[0].sampling
    assert sampling.min_p is None
    assert sampling.repetition_penalty == 1.0  # or the model's own would hold


async def test_one_worker_that_does_not_do_it_is_enough_to_refuse(deployment, client):
    await deployment.worker()
    await deployment.worker(extras=("min_p",), component="aggregated")
    await deployment.ready(2)
    with pytest.raises(BadRequestError, match="logprobs"):
        await client.completions.create(model=MODEL, prompt="hi", logprobs=0)
    await client.completions.create(model=MODEL, prompt="hi", extra_body={"min_p": 0.5})


def names_of(tokenizer) -> TokenNames:
    return ModelTokenizer(tokenizer, None).names


def test_special_tokens_are_called_by_their_names_and_take_no_room(byte_level):
    scores = CompletionScores(names_of(byte_level))
    a = byte_level.encode("a").ids[0]
    scores.add([[(END, -1.0)], [(a, -2.0), (END, float("-inf"))]])
    told = scores.take()
    assert told["tokens"] == ["<|end|>", "a"]
    assert told["text_offset"] == [0, 0]
    assert told["top_logprobs"][1] == {"a": -2.0, "<|end|>": -9999.0}
    assert scores.take() is None


def test_pieces_with_a_space_and_single_bytes_have_their_bytes(sentencepiece):
    names = names_of(sentencepiece)
    ids = sentencepiece.encode("the naïve", add_special_tokens=False).ids
    assert b"".join(map(names.bytes_of, ids)) == " the naïve".encode()
    scores = ChatScores(names)
    scores.add([[(token, -1.0)] for token in ids])
    assert b"".join(bytes(one["bytes"]) for one in scores.take()["content"]).endswith(b"ve")
    assert names.bytes_of(10**6) == b""
