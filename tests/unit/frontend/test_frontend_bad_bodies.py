"""Every bad body is one 4xx in OpenAI's form that names the field, and leaves nothing behind."""

import json
from io import BytesIO

import pytest

MODEL = "tiny/chat"
USER = {"role": "user", "content": "hi"}


def chat(**fields):
    return {"model": MODEL, "messages": [USER], **fields}


def completion(**fields):
    return {"model": MODEL, "prompt": "hi", **fields}


def messages(*given):
    return {"model": MODEL, "messages": list(given)}


BAD = [
    pytest.param("chat", b"", None, id="empty"),
    pytest.param("chat", b"{", None, id="half an object"),
    pytest.param("chat", b"[]", None, id="a list"),
    pytest.param("chat", b'{"model":"\xff"}', None, id="not utf-8"),
    pytest.param("chat", b'{"model":"\\ud800"}', None, id="half a surrogate"),
    pytest.param("chat", b'{"model":"\\udc00 "}', None, id="the other half"),
    pytest.param("chat", b"[" * 100_000, None, id="deep"),
    pytest.param("chat", b'{"model":1e999}', None, id="huge number"),
    pytest.param("chat", {"messages": [USER]}, "model", id="no model"),
    pytest.param("chat", {"model": MODEL}, "messages", id="no messages"),
    pytest.param("chat", {"model": MODEL, "messages": None}, "messages", id="null messages"),
    pytest.param("completion", {"model": MODEL}, "prompt", id="no prompt"),
    pytest.param("chat", chat(model=""), "model", id="empty model"),
    pytest.param("chat", chat(model=7), "model", id="model is a number"),
    pytest.param("chat", chat(prompt="hi"), "prompt", id="prompt in a chat"),
    pytest.param("completion", completion(messages=[USER]), "messages", id="messages outside"),
    pytest.param("chat", chat(surprise=1), "surprise", id="unknown field"),
    pytest.param("chat", chat(**{"x" * 5000: 1}), "x" * 64, id="long unknown field"),
    pytest.param("chat", messages(), "messages", id="no message"),
    pytest.param("chat", messages("hi"), "messages[0]", id="message is text"),
    pytest.param("chat", messages(USER, {"role": "bot"}), "messages[1].role", id="unknown role"),
    pytest.param("chat", messages({"role": "user"}), "messages[0].content", id="no content"),
    pytest.param("chat", messages({**USER, "content": 1}), "messages[0].content", id="number"),
    pytest.param("chat", messages({**USER, "content": []}), "messages[0].content", id="no parts"),
    pytest.param(
        "chat",
        messages({**USER, "content": [{"type": "image_url", "image_url": {"url": "x"}}]}),
        "messages[0].content[0]",
        id="image",
    ),
    pytest.param(
        "chat",
        messages({**USER, "content": [{"type": "text"}]}),
        "messages[0].content[0].text",
        id="part without text",
    ),
    pytest.param("chat", messages({**USER, "name": 1}), "messages[0].name", id="name"),
    pytest.param(
        "chat", messages({**USER, "tool_calls": [{}]}), "messages[0].tool_calls", id="tool calls"
    ),
    pytest.param("completion", completion(prompt=""), "prompt", id="empty prompt"),
    pytest.param("completion", completion(prompt=[]), "prompt", id="empty list"),
    pytest.param("completion", completion(prompt=["a", "b"]), "prompt", id="two prompts"),
    pytest.param("completion", completion(prompt=[[1], [2]]), "prompt", id="two token lists"),
    pytest.param("completion", completion(prompt=[1, "a"]), "prompt", id="mixed"),
    pytest.param("completion", completion(prompt=[True]), "prompt", id="booleans"),
    pytest.param("completion", completion(prompt=[-1]), "prompt", id="negative token"),
    pytest.param("completion", completion(prompt=[10**6]), "prompt", id="unknown token"),
    pytest.param("completion", completion(prompt=[2**70]), "prompt", id="huge token"),
    pytest.param("chat", chat(temperature=2.1), "temperature", id="hot"),
    pytest.param("chat", chat(temperature=-0.1), "temperature", id="cold"),
    pytest.param("chat", chat(temperature="1"), "temperature", id="text temperature"),
    pytest.param("chat", chat(temperature=True), "temperature", id="true temperature"),
    pytest.param("chat", chat(temperature=10**400), "temperature", id="huge temperature"),
    pytest.param("chat", chat(top_p=0), "top_p", id="top_p 0"),
    pytest.param("chat", chat(top_p=1.01), "top_p", id="top_p above 1"),
    pytest.param("chat", chat(top_k=-2), "top_k", id="top_k"),
    pytest.param("chat", chat(top_k=1.5), "top_k", id="fractional top_k"),
    pytest.param("chat", chat(seed=2**63), "seed", id="seed beyond 64 bits"),
    pytest.param("chat", chat(max_tokens=0), "max_tokens", id="max_tokens 0"),
    pytest.param("chat", chat(max_tokens=1.0), "max_tokens", id="max_tokens 1.0"),
    pytest.param("chat", chat(max_completion_tokens=0), "max_completion_tokens", id="none"),
    pytest.param("chat", chat(max_tokens=513), "messages", id="beyond the context"),
    pytest.param("completion", completion(prompt=[1] * 512), "prompt", id="a full context"),
    pytest.param("chat", chat(min_tokens=-1), "min_tokens", id="min_tokens"),
    pytest.param("chat", chat(min_tokens=3, max_tokens=2), "min_tokens", id="min above max"),
    pytest.param("chat", chat(min_tokens=600), "min_tokens", id="min beyond the context"),
    pytest.param("chat", chat(stop=""), "stop", id="empty stop"),
    pytest.param("chat", chat(stop=["a", 1]), "stop", id="stop is a number"),
    pytest.param("chat", chat(stop=["a"] * 17), "stop", id="17 stops"),
    pytest.param("chat", chat(stop="a" * 257), "stop", id="long stop"),
    pytest.param("chat", chat(stop_token_ids=["a"]), "stop_token_ids", id="stop tokens"),
    pytest.param("chat", chat(stop_token_ids=[1] * 129), "stop_token_ids", id="129 stop tokens"),
    pytest.param("chat", chat(stream="yes"), "stream", id="stream"),
    pytest.param("chat", chat(ignore_eos=1), "ignore_eos", id="ignore_eos"),
    pytest.param("chat", chat(stream_options={}), "stream_options", id="options unstreamed"),
    pytest.param(
        "chat", chat(stream=True, stream_options={"x": []}), "stream_options", id="stream option"
    ),
    pytest.param("chat", chat(stream=True, stream_options=1), "stream_options", id="a number"),
    pytest.param("chat", chat(n=2), "n", id="two choices"),
    pytest.param("chat", chat(n=True), "n", id="n is true"),
    pytest.param("chat", chat(logprobs=1), "logprobs", id="logprobs is a number"),
    pytest.param("chat", chat(top_logprobs=1), "top_logprobs", id="top_logprobs alone"),
    pytest.param("chat", chat(logprobs=True, top_logprobs=21), "top_logprobs", id="21 likeliest"),
    pytest.param("completion", completion(logprobs=True), "logprobs", id="logprobs is true"),
    pytest.param("completion", completion(logprobs=-1), "logprobs", id="logprobs -1"),
    pytest.param("completion", completion(top_logprobs=1), "top_logprobs", id="of the chat"),
    pytest.param("completion", completion(echo=True), "echo", id="echo"),
    pytest.param("completion", completion(best_of=2), "best_of", id="best_of"),
    pytest.param("chat", chat(frequency_penalty=2.1), "frequency_penalty", id="frequency"),
    pytest.param("chat", chat(presence_penalty=-2.1), "presence_penalty", id="presence"),
    pytest.param("chat", chat(repetition_penalty=0), "repetition_penalty", id="repetition"),
    pytest.param("chat", chat(min_p=1.1), "min_p", id="min_p"),
    pytest.param("chat", chat(priority=0.5), "priority", id="half a priority"),
    pytest.param("chat", chat(priority=2**31), "priority", id="priority beyond 32 bits"),
    pytest.param("chat", chat(logit_bias=[1]), "logit_bias", id="bias is a list"),
    pytest.param("chat", chat(logit_bias={"a": 1}), "logit_bias", id="bias of a word"),
    pytest.param("chat", chat(logit_bias={"²": 1}), "logit_bias", id="bias of a square"),
    pytest.param("chat", chat(logit_bias={"1": 101}), "logit_bias", id="bias of 101"),
    pytest.param("chat", chat(logit_bias={"9999999": 1}), "logit_bias", id="unknown bias"),
    pytest.param(
        "chat", chat(logit_bias={str(n): 1 for n in range(1025)}), "logit_bias", id="1025 biases"
    ),
    pytest.param("chat", chat(tools=[{}]), "tools", id="tools"),
    pytest.param("chat", chat(tool_choice="required"), "tool_choice", id="tool choice"),
    pytest.param(
        "chat", chat(response_format={"type": "json_object"}), "response_format", id="json mode"
    ),
    pytest.param("chat", chat(user=1), "user", id="user"),
    pytest.param("chat", chat(metadata="x"), "metadata", id="metadata"),
]
PATHS = {"chat": "/v1/chat/completions", "completion": "/v1/completions"}


@pytest.mark.parametrize(("where", "body", "param"), BAD)
async def test_a_bad_body_is_a_400_that_names_the_field(deployment, worker, where, body, param):
    data = body if isinstance(body, bytes) else json.dumps(body)
    async with deployment.http.post(PATHS[where], data=data) as answer:
        told = (await answer.json())["error"]
    assert answer.status == 400
    assert set(told) == {"message", "type", "param", "code"}
    assert told["type"] == "invalid_request_error"
    assert told["code"]
    assert told["param"] == param
    assert param is None or param in told["message"] or told["code"] == "context_length_exceeded"
    assert len(told["message"]) < 300
    assert worker.requests == []
    assert worker.served.in_flight == 0
    assert deployment.value("requests_started_total") == 0


HARMLESS = {
    "n": 1, "frequency_penalty": 0.0, "presence_penalty": 0, "logit_bias": {}, "user": "me",
    "metadata": {"a": "b"}, "logprobs": False, "top_logprobs": 0, "tools": [], "store": False,
    "response_format": {"type": "text"}, "service_tier": "auto", "tool_choice": "none",
    "stop": [], "parallel_tool_calls": True, "repetition_penalty": 1.0, "top_k": -1, "min_p": 0,
    "skip_special_tokens": True, "modalities": ["text"], "functions": None, "seed": None,
}  # fmt: skip


async def test_values_that_change_nothing_are_accepted(deployment, worker):
    async with deployment.http.post(PATHS["chat"], json=chat(**HARMLESS)) as answer:
        assert answer.status == 200
    assert worker.requests[0].sampling.top_k is None


LARGE = 17 * 1024 * 1024
OTHERS = [
    pytest.param("GET", "/v1/chat/completions", b"", 405, id="method"),
    pytest.param("POST", "/v1/embeddings", b"{}", 404, id="path"),
    pytest.param("POST", "/v1/completions", b" " * LARGE, 413, id="too large"),
]


@pytest.mark.parametrize(("method", "path", "body", "status"), OTHERS)
async def test_what_the_server_refuses_has_the_same_form(deployment, method, path, body, status):
    async with deployment.http.request(method, path, data=BytesIO(body)) as answer:
        told = (await answer.json())["error"]
    assert answer.status == status
    assert told["type"] == "invalid_request_error"
