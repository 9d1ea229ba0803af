"""What vLLM makes of a request, bit by bit."""

from typing import Any, NamedTuple

from runtime.protocol import TokenLogprobs


class Piece(NamedTuple):
    """Tokens of one request since the piece before."""

    token_ids: list[int]
    finish: str | None = None
    cached_tokens: int = 0
    transfer: dict[str, Any] | None = None
    """Where the KV of the prompt is, with the last piece of a prefill for another engine."""
    logprobs: list[TokenLogprobs] | None = None
