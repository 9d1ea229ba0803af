"""The JSON of the two endpoints: the chunks of a stream, and whole responses.

A chunk is built from parts made once per response, so a token costs one escape and one join.
"""

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping
from typing import Any

import msgspec

from runtime.frontend.generation import Usage
from runtime.frontend.scores import ChatScores, CompletionScores, Scores
from runtime.protocol import FinishReason

_encode: Callable[[Any], bytes] = msgspec.json.Encoder().encode

DONE = b"data: [DONE]\n\n"


class Shape(ABC):
    """What the chat and the completion endpoint have in common."""

    object_name = ""
    chunk_name = ""
    id_prefix = ""
    before_text = b""
    after_text = b""
    scores: type[Scores]
    """Makes what tells the probabilities of tokens."""

    def __init__(self, request_id: str, *, model: str, created: int) -> None:
        self.request_id = request_id
        self._facts = {"id": f"{self.id_prefix}{request_id}", "created": created, "model": model}

    @abstractmethod
    def choice(self, text: str, reason: FinishReason, scores: Any = None) -> Mapping[str, Any]:
        """Return the one choice of a whole response."""

    @abstractmethod
    def text_choice(self, text: str, scores: Any) -> Mapping[str, Any]:
        """Return the choice of a chunk with text and the probabilities of its tokens."""

    @abstractmethod
    def last_choice(self, reason: FinishReason) -> Mapping[str, Any]:
        """Return the choice of the chunk that ends a stream."""

    def opening(self) -> Mapping[str, Any] | None:
        """Return the choice of the chunk before the first text, if there is one."""
        return None

    def whole(self, text: str, reason: FinishReason, usage: Usage, *, scores: Any = None) -> bytes:
        """Return a response that is not streamed."""
        choices = [self.choice(text, reason, scores)]
        body = {**self._facts, "object": self.object_name, "choices": choices}
        return _encode({**body, "usage": usage_body(usage)})

    def chunk(self, choices: list[Mapping[str, Any]], usage: Any = None) -> bytes:
        """Return one event; *usage* is left out where it is None."""
        body = {**self._facts, "object": self.chunk_name, "choices": choices}
        return b"data: %b\n\n" % _encode(body if usage is None else {**body, "usage": usage})

    def text_parts(self, *, with_usage: bool) -> tuple[bytes, bytes]:
        """Return what stands before and after the escaped text in an event."""
        head = _encode({**self._facts, "object": self.chunk_name})[:-1]
        usage = b',"usage":null' if with_usage else b""
        before = b"data: " + head + b',"choices":[{"index":0,' + self.before_text
        return (
            before,
            self.after_text + b',"logprobs":null,"finish_reason":null}]' + usage + b"}\n\n",
        )


class ChatShape(Shape):
    """/v1/chat/completions."""

    object_name = "chat.completion"
    chunk_name = "chat.completion.chunk"
    id_prefix = "chatcmpl-"
    before_text = b'"delta":{"content":'
    after_text = b"}"
    scores = ChatScores

    def choice(self, text: str, reason: FinishReason, scores: Any = None) -> Mapping[str, Any]:
        """Return the assistant's message."""
        message = {"role": "assistant", "content": text, "refusal": None}
        return {"index": 0, "message": message, "logprobs": scores, "finish_reason": reason}

    def text_choice(self, text: str, scores: Any) -> Mapping[str, Any]:
        """Return a delta."""
        return {"index": 0, "delta": {"content": text}, "logprobs": scores, "finish_reason": None}

    def last_choice(self, reason: FinishReason) -> Mapping[str, Any]:
        """Return an empty delta."""
        return {"index": 0, "delta": {}, "logprobs": None, "finish_reason": reason}

    def opening(self) -> Mapping[str, Any]:
        """Return the delta that names the role."""
        delta = {"role": "assistant", "content": ""}
        return {"index": 0, "delta": delta, "logprobs": None, "finish_reason": None}


class CompletionShape(Shape):
    """/v1/completions."""

    object_name = "text_completion"
    chunk_name = "text_completion"
    id_prefix = "cmpl-"
    before_text = b'"text":'
    scores = CompletionScores

    def choice(
        self, text: str, reason: FinishReason | None, scores: Any = None
    ) -> Mapping[str, Any]:
        """Return the text."""
        return {"index": 0, "text": text, "logprobs": scores, "finish_reason": reason}

    def text_choice(self, text: str, scores: Any) -> Mapping[str, Any]:
        """Return the text."""
        return self.choice(text, None, scores)

    def last_choice(self, reason: FinishReason) -> Mapping[str, Any]:
        """Return an empty text."""
        return self.choice("", reason)


def usage_body(usage: Usage) -> dict[str, Any]:
    """Return *usage* in OpenAI's form."""
    return {
        "prompt_tokens": usage.prompt,
        "completion_tokens": usage.completion,
        "total_tokens": usage.prompt + usage.completion,
        "prompt_tokens_details": {"cached_tokens": usage.cached},
    }
