"""The model of one continuous-batching engine: how long a step takes and how much fits.

Sizing inverts it, the fleet simulator advances many of them on a virtual clock and the simulated
worker one on the real clock, so everything here is plain floats and cheap. Times are seconds.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from math import ceil, floor


@dataclass(frozen=True, slots=True, kw_only=True)
class PrefillLaw:
    """A prefill batch takes base + sum(token * n + token_squared * n^2) over its prompts.

    The base is paid once a batch (weights are read once), the rest by every prompt; the square is
    attention.
    """

    base_seconds: float
    token_seconds: float
    token_squared_seconds: float

    def marginal_seconds(self, isl: float) -> float:
        """Return what a prompt of *isl* tokens adds to its batch."""
        return isl * (self.token_seconds + self.token_squared_seconds * isl)

    def chunk_seconds(self, start: int, end: int) -> float:
        """Return what the prompt's tokens from *start* to *end* add to their step.

        The chunks of a prompt add up to its `marginal_seconds`, however it is cut.
        """
        return (end - start) * (self.token_seconds + self.token_squared_seconds * (end + start))


@dataclass(frozen=True, slots=True, kw_only=True)
class DecodeLaw:
    """A decode step takes base + request * batch + kv_token * (KV tokens of the batch)."""

    base_seconds: float
    request_seconds: float
    kv_token_seconds: float

    def step_seconds(self, batch: float, kv_tokens: float) -> float:
        """Return the time of one step of *batch* requests that hold *kv_tokens* together."""
        return self.base_seconds + self.request_seconds * batch + self.kv_token_seconds * kv_tokens

    def marginal_seconds(self, context_tokens: float) -> float:
        """Return what one request with *context_tokens* in its KV cache adds to a step."""
        return self.request_seconds + self.kv_token_seconds * context_tokens


@dataclass(frozen=True, slots=True, kw_only=True)
class EngineLimits:
    """What fits into one engine, and how fast its KV cache travels to another."""

    max_num_batched_tokens: int
    max_num_seqs: int
    block_size: int
    kv_capacity_tokens: int
    kv_bytes_per_token: int
    transfer_bytes_per_second: float


@dataclass(frozen=True, slots=True, kw_only=True)
class EngineModel:
    """One engine: the laws of its step times and its limits."""

    prefill: PrefillLaw
    decode: DecodeLaw
    limits: EngineLimits

    def prefill_seconds(self, lengths: Iterable[float]) -> float:
        """Return the time of one prefill batch of prompts with these *lengths* in tokens."""
        return self.prefill.base_seconds + sum(map(self.prefill.marginal_seconds, lengths))

    def prompt_seconds(self, isl: float) -> float:
        """Return the time to first token of one prompt on an idle engine.

        A prompt longer than the token budget of a step pays the base once for every chunk.
        """
        chunks = max(1, ceil(isl / self.limits.max_num_batched_tokens))
        return chunks * self.prefill.base_seconds + self.prefill.marginal_seconds(isl)

    def step_seconds(
        self, *, decoding: int, kv_tokens: int, chunks: Iterable[tuple[int, int]]
    ) -> float:
        """Return the time of one step that decodes and prefills at once.

        *chunks* are the (start, end) token ranges that are prefilled in it. The weights are read
        once for both halves, so the larger of the two bases is paid; no work takes no time.
        """
        prefill = sum(self.prefill.chunk_seconds(start, end) for start, end in chunks)
        base = self.prefill.base_seconds if prefill else 0.0
        if not decoding:
            return base + prefill
        waited = max(0.0, base - self.decode.base_seconds)
        return self.decode.step_seconds(decoding, kv_tokens) + waited + prefill

    def transfer_seconds(self, tokens: float) -> float:
        """Return the time to move the KV cache of *tokens* tokens to another engine."""
        return tokens * self.limits.kv_bytes_per_token / self.limits.transfer_bytes_per_second

    @property
    def kv_blocks(self) -> int:
        """KV blocks of one engine."""
        return self.limits.kv_capacity_tokens // self.limits.block_size

    def batch_limit(self, context_tokens: float) -> int:
        """Return how many requests of *context_tokens* fit: by KV cache and by sequences."""
        blocks = max(1, ceil(context_tokens / self.limits.block_size))
        return min(self.limits.max_num_seqs, self.kv_blocks // blocks)

    def decode_batch(self, itl_seconds: float | None, context_tokens: float) -> int:
        """Return the largest batch whose decode step keeps *itl_seconds*; 0 when even one is late.

        None does not judge ITL: as many as fit. The step time grows with the batch, so this is the
        envelope over all loads and a looser target never returns less.
        """
        limit = self.batch_limit(context_tokens)
        if itl_seconds is None:
            return limit
        marginal = self.decode.marginal_seconds(context_tokens)
        room = itl_seconds - self.decode.base_seconds
        if room < marginal:
            return 0
        return min(limit, floor(room / marginal)) if marginal > 0 else limit

    def decode_tokens_per_second(self, itl_seconds: float | None, context_tokens: float) -> float:
        """Return the most tokens a second within *itl_seconds*, at *context_tokens* a request."""
        batch = self.decode_batch(itl_seconds, context_tokens)
        step = self.decode.step_seconds(batch, batch * context_tokens)
        return batch / step if batch else 0.0
