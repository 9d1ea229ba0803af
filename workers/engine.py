"""What a worker needs from an inference engine; simulated and real ones look the same from here.

Tokens go in and come out; text, routing and the decision where to prefill are made elsewhere.
"""

from collections.abc import AsyncGenerator, Collection
from dataclasses import dataclass
from typing import Any, Protocol

import msgspec

from runtime.errors import InvalidRequest
from runtime.protocol import GenerateRequest, Sampling, TokenDelta, extras


@dataclass(frozen=True, slots=True, kw_only=True)
class StepTotals:
    """What an engine has computed since its start, summed over its steps.

    The time of a step is linear in these, so together with the time that the steps took they tell
    how far an engine is from its profile.
    """

    prefill_steps: int
    """Steps with prompt tokens in them."""
    decoded_tokens: int
    """Requests decoded, summed over steps; the first token of a prompt computed here is none."""
    kv_tokens_read: int
    """Tokens of KV cache that decoding requests read in each step."""
    prefilled_tokens: int
    prefilled_squared_tokens: int
    """Sum of end^2 - start^2 over the chunks of prompts."""


@dataclass(frozen=True, slots=True, kw_only=True)
class TransferTotals:
    """What has come to an engine from others since its start, by KV transfer."""

    received: int
    failed: int
    """Transfers that did not arrive; their prompts were computed here instead."""
    tokens: int
    """Prompt tokens whose KV was received."""
    bytes: int
    seconds: float
    """What the transfers took, summed; those to the GPUs of an engine run side by side."""


@dataclass(frozen=True, slots=True, kw_only=True)
class EngineStats:
    """An engine at one moment; token and preemption counts are totals since its start."""

    running: int
    waiting: int
    waiting_tokens: int | None
    """Prompt tokens that are still to be prefilled; None where the engine does not tell."""
    kv_blocks_used: int | None
    kv_blocks_total: int | None
    """None, both, until the engine has loaded and knows."""
    preemptions: int
    prompt_tokens: int
    cached_tokens: int
    """Of the prompt tokens, those found in the prefix cache."""
    generated_tokens: int
    steps: StepTotals | None = None
    """None where the engine does not tell."""
    transfers: TransferTotals | None = None
    """None where the engine does not tell."""


class Prefilled(msgspec.Struct, kw_only=True, frozen=True, omit_defaults=True):
    """The result of a prefill: where the KV cache is, for the engine that goes on from there."""

    transfer: dict[str, Any]
    """Opaque to everything but the two engines."""
    cached_tokens: int = 0


def check_extras(sampling: Sampling, known: Collection[str]) -> None:
    """Raise InvalidRequest when *sampling* asks for something that is not in *known*."""
    for name in extras(sampling):
        if name not in known:
            raise InvalidRequest(f"{name}: this engine does not support it")


class Engine(Protocol):
    """One engine instance. All methods are called from one event loop.

    A request holds what it holds under its id, until its `generate` or `prefill` ends or it is
    aborted, whichever comes first. Ids are distinct among the requests that an engine knows.
    """

    async def start(self) -> None:
        """Load the model; returns once requests would be served at full speed."""
        ...

    async def wait_failed(self) -> str:
        """Return why the engine can serve no more; waits for as long as it can."""
        ...

    def uncached_tokens(self, token_ids: list[int]) -> int:
        """Return how many of these prompt tokens are in no prefix cache here."""
        ...

    async def reserve(self, request: GenerateRequest) -> None:
        """Hold KV room for the whole prompt, waiting in line for it; `generate` then uses it.

        Raises InvalidRequest when it can never fit.
        """
        ...

    def generate(self, request: GenerateRequest) -> AsyncGenerator[TokenDelta, None]:
        """Yield tokens until one delta has a finish reason, or early after `abort`.

        With *request.transfer* the prompt's KV is fetched from the engine that prefilled it.
        Raises InvalidRequest.
        """
        ...

    async def prefill(self, request: GenerateRequest) -> Prefilled:
        """Compute the prompt's KV and say where it is. Raises InvalidRequest, Cancelled."""
        ...

    async def release(self, transfer: dict[str, Any]) -> None:
        """Let go of the KV of a prefill, made here or elsewhere, that nobody will fetch."""
        ...

    async def abort(self, request_id: str) -> None:
        """End a request and free what it holds; one that is not there is fine."""
        ...

    def stats(self) -> EngineStats:
        """Return the engine as it is now."""
        ...

    async def close(self) -> None:
        """End all requests and release the device."""
        ...
