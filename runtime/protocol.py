"""The messages between frontend and workers, and the model card that a worker registers.

Encoded with msgpack; unknown fields are ignored, so both sides can be upgraded on their own.
"""

from collections.abc import Iterator, Mapping
from enum import StrEnum
from typing import Any

import msgspec


class FinishReason(StrEnum):
    """Why a worker stopped producing tokens."""

    STOP = "stop"
    LENGTH = "length"


class Sampling(msgspec.Struct, kw_only=True, frozen=True, omit_defaults=True):
    """How tokens are chosen and when the engine ends; None leaves it to the engine.

    *max_tokens* and *min_tokens* count all output tokens of the request, so they include those
    that were produced before a migration (`GenerateRequest.resumed`) and are sent unchanged.
    Frequency and presence penalties begin anew there: they are about what the engine produces.
    """

    max_tokens: int
    min_tokens: int = 0
    temperature: float | None = None
    top_p: float | None = None
    top_k: int | None = None
    seed: int | None = None
    ignore_eos: bool = False
    stop_token_ids: tuple[int, ...] = ()
    min_p: float | None = None
    frequency_penalty: float | None = None
    presence_penalty: float | None = None
    repetition_penalty: float | None = None
    logit_bias: dict[int, float] | None = None
    """Added to the scores of tokens, by their ids."""
    logprobs: int | None = None
    """Asks for `TokenDelta.logprobs`, with so many of the likeliest tokens each."""
    priority: int = 0
    """Lower is served first."""


NEUTRAL: Mapping[str, Any] = {
    "min_p": 0.0,
    "frequency_penalty": 0.0,
    "presence_penalty": 0.0,
    "repetition_penalty": 1.0,
    "logit_bias": {},
    "logprobs": None,
    "priority": 0,
}
"""The fields of `Sampling` that not every engine acts on, each with a value that asks for nothing.

A worker says in its `ModelCard` which of them its engine does; it refuses the others itself too.
"""


def extras(sampling: Sampling) -> Iterator[str]:
    """Yield the fields of *NEUTRAL* by which *sampling* asks for something."""
    for name, neutral in NEUTRAL.items():
        value = getattr(sampling, name)
        if value is not None and value != neutral:
            yield name


class GenerateRequest(msgspec.Struct, kw_only=True, frozen=True, omit_defaults=True):
    """Tokens in. After a migration *token_ids* ends with the *resumed* tokens already produced."""

    request_id: str
    token_ids: list[int]
    sampling: Sampling
    resumed: int = 0
    transfer: dict[str, Any] | None = None
    """Opaque KV-transfer parameters, set by the disaggregation logic alone."""


TokenLogprobs = list[tuple[int, float]]
"""One token and the natural logarithm of its probability, then the same of the likeliest ones."""


class TokenDelta(msgspec.Struct, kw_only=True, frozen=True, omit_defaults=True):
    """Tokens out: those produced since the previous delta; the last one has *finish_reason*.

    The end-of-sequence or stop token that ended a request is the last of its *token_ids*; it counts
    as output and belongs to no text.
    """

    token_ids: list[int]
    finish_reason: FinishReason | None = None
    cached_tokens: int | None = None
    """Prompt tokens found in a prefix cache; sent once, with the first delta."""
    remote_prefill: bool | None = None
    """Whether another worker did the prefill; sent once, with the first delta."""
    logprobs: list[TokenLogprobs] | None = None
    """One for each of *token_ids*, where they are asked for."""


class ModelCard(msgspec.Struct, kw_only=True, frozen=True, omit_defaults=True):
    """What a frontend must know to serve a model; registered by every serving worker.

    *path* is the model's folder (tokenizer.json, tokenizer_config.json with its chat template) as
    the frontend can read it; *checksum* is of the tokenizer file, so that two workers with
    different tokenizers under one name are noticed.
    """

    name: str
    path: str
    context_length: int
    eos_token_ids: tuple[int, ...]
    checksum: str
    kv_block_size: int = 16
    total_kv_blocks: int | None = None
    max_num_seqs: int | None = None
    extras: tuple[str, ...] = ()
    """Which fields of *NEUTRAL* the worker's engine acts on."""
