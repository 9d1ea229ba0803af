"""One request inside the simulated engine, from arrival to its last token."""

from collections.abc import Iterator
from dataclasses import dataclass, field
from enum import Enum, auto

from runtime.kv_events.blocks import next_block_hash
from runtime.protocol import FinishReason, GenerateRequest, Sampling


class Phase(Enum):
    """Where a sequence is: held ones own KV blocks and wait for a prefill made elsewhere."""

    WAITING = auto()
    HELD = auto()
    RUNNING = auto()
    DONE = auto()


@dataclass(slots=True, eq=False, kw_only=True)
class Sequence:
    """The tokens of one request and how many of them have their KV computed.

    *tokens* is prompt and output together, *origin* the length of the prompt without the output
    that a migration brought along, so `len(tokens) - origin` is the output so far.
    """

    request_id: str
    tokens: list[int]
    origin: int
    sampling: Sampling
    key: int = 0
    """What the text depends on besides the tokens; see `Follower.key`."""
    held: bool = False
    """Whether its KV comes from elsewhere: it asks for room only."""
    phase: Phase = Phase.WAITING
    computed: int = 0
    blocks: list[int] = field(default_factory=list)
    hashes: list[int] = field(default_factory=list)
    published: int = 0
    """How many of its full blocks others can find."""
    cached_tokens: int | None = None
    """Prompt tokens found in the prefix cache on first admission."""

    @classmethod
    def of(cls, request: GenerateRequest, *, key: int = 0, held: bool = False) -> "Sequence":
        """Return the sequence of *request*, with a list of tokens of its own."""
        return cls(
            request_id=request.request_id,
            tokens=list(request.token_ids),
            origin=len(request.token_ids) - request.resumed,
            sampling=request.sampling,
            key=key,
            held=held,
        )

    @classmethod
    def probe(cls, token_ids: list[int]) -> "Sequence":
        """Return a sequence that only asks what is cached of *token_ids*."""
        return cls(request_id="", tokens=token_ids, origin=0, sampling=Sampling(max_tokens=1))

    @property
    def produced(self) -> int:
        """Output tokens, those of before a migration included."""
        return len(self.tokens) - self.origin

    @property
    def is_waiting(self) -> bool:
        """Whether it has no place in the batch and no blocks."""
        return self.phase is Phase.WAITING

    @property
    def uncomputed(self) -> int:
        """Tokens whose KV is missing; 1 while it decodes."""
        return len(self.tokens) - self.computed

    def chain(self, blocks: int, block_size: int) -> Iterator[int]:
        """Yield the hashes of its first *blocks* full blocks, each computed once."""
        for index in range(blocks):
            if index == len(self.hashes):
                parent = self.hashes[-1] if self.hashes else None
                start = index * block_size
                tokens = self.tokens[start : start + block_size]
                self.hashes.append(next_block_hash(parent, tokens))
            yield self.hashes[index]

    def finish_reason(self, eos: frozenset[int], longest: int) -> FinishReason | None:
        """Return why the sequence ends with its last token, or None when it goes on.

        *longest* is the engine's limit of prompt and output together, in tokens.
        """
        sampling = self.sampling
        produced = self.produced
        if produced >= sampling.min_tokens:
            last = self.tokens[-1]
            if last in sampling.stop_token_ids or (last in eos and not sampling.ignore_eos):
                return FinishReason.STOP
        if produced >= sampling.max_tokens or len(self.tokens) >= longest:
            return FinishReason.LENGTH
        return None
