"""The probabilities of tokens in OpenAI's two forms, for responses that are asked for them."""

import codecs
from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from typing import Any

from runtime.frontend.token_names import TokenNames
from runtime.protocol import TokenLogprobs

_LOWEST = -9999.0  # OpenAI's word for "never"; JSON has no infinity


class Scores(ABC):
    """Keeps the tokens of one response until the next piece of its text is shown."""

    def __init__(self, names: TokenNames) -> None:
        self._names = names
        self._held: list[TokenLogprobs] = []

    @property
    def are_held(self) -> bool:
        """Whether tokens wait for a piece of text."""
        return bool(self._held)

    def add(self, tokens: Sequence[TokenLogprobs]) -> None:
        """Hold the next tokens."""
        self._held += (token for token in tokens if token)

    def take(self) -> Mapping[str, Any] | None:
        """Return the tokens held as the choice's *logprobs*, and hold none; None without any."""
        held, self._held = self._held, []
        return self._body(held) if held else None

    @abstractmethod
    def _body(self, tokens: list[TokenLogprobs]) -> Mapping[str, Any]:
        """Return *tokens* in the form of the endpoint."""


class ChatScores(Scores):
    """/v1/chat/completions."""

    def _body(self, tokens: list[TokenLogprobs]) -> Mapping[str, Any]:
        content = [
            {**self._one(*chosen), "top_logprobs": [self._one(*each) for each in likeliest]}
            for chosen, *likeliest in tokens
        ]
        return {"content": content, "refusal": None}

    def _one(self, token_id: int, logprob: float) -> dict[str, Any]:
        name = self._names.bytes_of(token_id)
        return {
            "token": name.decode(errors="replace"),
            "logprob": max(logprob, _LOWEST),
            "bytes": list(name),
        }


class CompletionScores(Scores):
    """/v1/completions. A token that is no whole text is called ``bytes:`` and its bytes."""

    def __init__(self, names: TokenNames) -> None:
        super().__init__(names)
        self._length = 0
        self._decoder = codecs.getincrementaldecoder("utf-8")(errors="replace")

    def _body(self, tokens: list[TokenLogprobs]) -> Mapping[str, Any]:
        return {
            "tokens": [self._name(token[0][0]) for token in tokens],
            "token_logprobs": [max(token[0][1], _LOWEST) for token in tokens],
            "top_logprobs": [self._likeliest(token) for token in tokens],
            "text_offset": [self._offset(token[0][0]) for token in tokens],
        }

    def _likeliest(self, token: TokenLogprobs) -> dict[str, float]:
        """Return the likeliest tokens, and the one that was chosen in any case."""
        chosen, *likeliest = token
        return {self._name(who): max(logprob, _LOWEST) for who, logprob in (*likeliest, chosen)}

    def _name(self, token_id: int) -> str:
        name = self._names.bytes_of(token_id)
        try:
            return name.decode()
        except UnicodeDecodeError:
            return "bytes:" + "".join(f"\\x{byte:02x}" for byte in name)

    def _offset(self, token_id: int) -> int:
        """Return how many characters are complete before this token."""
        before = self._length
        if self._names.is_shown(token_id):
            self._length += len(self._decoder.decode(self._names.bytes_of(token_id)))
        return before
