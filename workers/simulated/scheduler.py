"""Continuous batching as a pure machine: no clock, no tasks.

`schedule` says what the next step computes, `commit` takes its results. The engine paces steps on
the real clock; tests run the same object on a virtual one.
"""

from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import NamedTuple

from runtime.errors import InvalidRequest
from runtime.kv_events.ledger import BlockLedger
from runtime.protocol import FinishReason
from workers.simulated.kv import BlockPool
from workers.simulated.sequence import Phase, Sequence

_TOKEN_LIMIT = 2**32  # no vocabulary has so many


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """What one engine can hold and do in a step. Tokens and blocks are counts."""

    kv_blocks: int
    block_size: int = 16
    max_num_seqs: int = 256
    """Sequences in a batch."""
    token_budget: int = 8192
    """Tokens computed in a step: longer prompts are prefilled in chunks of this size."""
    context_length: int = 131_072

    @property
    def longest(self) -> int:
        """Prompt and output of one request together: what the model and the memory allow."""
        return min(self.context_length, self.kv_blocks * self.block_size)


@dataclass(slots=True, eq=False)
class Step:
    """What one step computes; *parts* are the sequences with the tokens each adds to its KV."""

    budget: int
    parts: list[tuple[Sequence, int]] = field(default_factory=list)
    decodes: int = 0
    """Sequences that compute one token."""
    decode_context: int = 0
    """Their prompt and output tokens: the KV that the step reads."""
    chunks: list[tuple[int, int]] = field(default_factory=list)
    """Start and end position of each prefill."""
    granted: list[Sequence] = field(default_factory=list)
    """Held sequences that were given their blocks: no work, but news."""

    def add(self, sequence: Sequence, number: int) -> None:
        """Let *sequence* compute *number* tokens in this step."""
        self.parts.append((sequence, number))
        self.budget -= number
        if number == 1:
            self.decodes += 1
            self.decode_context += sequence.computed + 1
        else:
            self.chunks.append((sequence.computed, sequence.computed + number))


class Token(NamedTuple):
    """One token that a step produced."""

    sequence: Sequence
    token_id: int
    finish_reason: FinishReason | None


class Scheduler:
    """First come, first served, within KV blocks, batch size and token budget.

    When the blocks run out, the sequence that came last gives all of its own back and is computed
    again later. *draw* returns the token that follows a sequence.
    """

    def __init__(
        self,
        limits: Limits,
        draw: Callable[[Sequence], int],
        *,
        eos: frozenset[int] = frozenset(),
        ledger: BlockLedger | None = None,
    ) -> None:
        self.limits = limits
        self.pool = BlockPool(limits.kv_blocks, ledger=ledger)
        self.preemptions = 0
        self.prompt_tokens = 0
        self.cached_tokens = 0
        self.generated_tokens = 0
        self._draw = draw
        self._eos = eos
        self._sequences: dict[str, Sequence] = {}
        self._waiting: deque[Sequence] = deque()
        self._arrived: deque[Sequence] = deque()
        self._running: list[Sequence] = []

    @property
    def running(self) -> int:
        """Sequences in the batch."""
        return len(self._running)

    @property
    def waiting(self) -> int:
        """Sequences that wait for a place in the batch or for KV blocks."""
        return len(self._waiting) + len(self._arrived)

    @property
    def is_empty(self) -> bool:
        """Whether it knows of no sequence at all."""
        return not self._sequences

    @property
    def waiting_tokens(self) -> int:
        """Tokens still to be prefilled here, in the batch or before it."""
        lines = (self._running, self._arrived, (s for s in self._waiting if not s.held))
        return sum(s.uncomputed for line in lines for s in line if s.uncomputed > 1)

    def add(self, sequence: Sequence) -> None:
        """Put *sequence* in line. Raises InvalidRequest when it can never be served."""
        length, longest = len(sequence.tokens), self.limits.longest
        if not 0 < length < longest:
            raise InvalidRequest(
                f"a prompt of {length} tokens: this engine takes 1 to {longest - 1}"
            )
        if not 0 <= min(sequence.tokens) <= max(sequence.tokens) < _TOKEN_LIMIT:
            raise InvalidRequest(f"token ids are from 0 to {_TOKEN_LIMIT - 1}")
        if sequence.request_id in self._sequences:
            raise InvalidRequest(f"request {sequence.request_id} is already being served")
        self._sequences[sequence.request_id] = sequence
        self._waiting.append(sequence)

    def resume(self, request_id: str, *, transferred: bool) -> None:
        """Let a held sequence join the batch: with its prompt's KV, or to compute it here.

        Of a transferred prompt the last token is computed here, which gives the first new token.
        """
        sequence = self._sequences[request_id]
        if transferred:
            self._advance(sequence, sequence.uncomputed - 1)
        sequence.held = False
        sequence.phase = Phase.WAITING
        self._arrived.append(sequence)

    def abort(self, request_id: str) -> None:
        """Forget a sequence and free its blocks; one that is not there is fine."""
        sequence = self._sequences.get(request_id)
        if sequence is None:
            return
        for line in (self._running, self._arrived, self._waiting):
            if sequence in line:
                line.remove(sequence)
        self._leave(sequence)

    def cached(self, token_ids: list[int]) -> int:
        """Return how many of these prompt tokens the prefix cache holds."""
        return len(self._matching(Sequence.probe(token_ids))) * self.limits.block_size

    def schedule(self) -> Step:
        """Return the next step; without parts when there is nothing to compute."""
        step = Step(self.limits.token_budget)
        if self._continue(step):
            self._admit(step)
        return step

    def commit(self, step: Step) -> list[Token]:
        """Return the tokens that *step* produced; those who left meanwhile get none."""
        tokens = []
        for sequence, number in step.parts:
            if sequence.phase is not Phase.RUNNING:
                continue
            self._advance(sequence, number)
            if sequence.computed == len(sequence.tokens):
                tokens.append(self._produce(sequence))
        self.generated_tokens += len(tokens)
        if any(token.finish_reason for token in tokens):
            self._running = [s for s in self._running if s.phase is Phase.RUNNING]
        return tokens

    def _continue(self, step: Step) -> bool:
        """Give the running sequences their share; False when one had to leave for want of room."""
        before, index = self.preemptions, 0
        while index < len(self._running) and step.budget:
            sequence = self._running[index]
            number = min(sequence.uncomputed, step.budget)
            if not self._make_room(sequence, number):
                break
            step.add(sequence, number)
            index += 1
        return self.preemptions == before

    def _make_room(self, sequence: Sequence, number: int) -> bool:
        """Preempt the latest until *sequence* can grow; False when it was the latest itself."""
        while not self._grow(sequence, number):
            victim = self._running.pop()
            self._preempt(victim)
            if victim is sequence:
                return False
        return True

    def _grow(self, sequence: Sequence, number: int) -> bool:
        missing = self._blocks_of(sequence.computed + number) - len(sequence.blocks)
        if missing <= 0:
            return True
        if not self.pool.fits(missing):
            return False
        sequence.blocks += self.pool.take(missing)
        return True

    def _preempt(self, sequence: Sequence) -> None:
        self._give_back(sequence)
        sequence.phase = Phase.WAITING
        sequence.computed = sequence.published = 0
        self._waiting.appendleft(sequence)
        self.preemptions += 1

    def _admit(self, step: Step) -> None:
        while step.budget and (line := self._arrived or self._waiting):
            sequence = line[0]
            if not sequence.held and len(self._running) >= self.limits.max_num_seqs:
                return
            if not self._enter(sequence, step):
                return
            line.popleft()

    def _enter(self, sequence: Sequence, step: Step) -> bool:
        """Give the first in line its blocks and its share; False when they do not fit."""
        shared = [] if sequence.blocks else self._matching(sequence)
        start = sequence.computed + len(shared) * self.limits.block_size
        number = len(sequence.tokens) - start
        if not sequence.held:
            number = min(number, step.budget)
        held = len(shared) + len(sequence.blocks)
        fresh = max(0, self._blocks_of(start + number) - held)
        if not self.pool.fits(fresh, shared):
            return False
        self.pool.hold(shared)
        sequence.blocks += shared + self.pool.take(fresh)
        sequence.computed, sequence.published = start, max(sequence.published, len(shared))
        self._count_prompt(sequence)
        self._start(sequence, step, number)
        return True

    def _start(self, sequence: Sequence, step: Step, number: int) -> None:
        if sequence.held:
            sequence.phase = Phase.HELD
            step.granted.append(sequence)
            return
        sequence.phase = Phase.RUNNING
        self._running.append(sequence)
        step.add(sequence, number)

    def _count_prompt(self, sequence: Sequence) -> None:
        if sequence.cached_tokens is None:
            sequence.cached_tokens = sequence.computed
            self.cached_tokens += sequence.computed
            self.prompt_tokens += len(sequence.tokens)

    def _matching(self, sequence: Sequence) -> list[int]:
        # The last token is always computed: its result is the first new token.
        size = self.limits.block_size
        return self.pool.match(sequence.chain((len(sequence.tokens) - 1) // size, size))

    def _advance(self, sequence: Sequence, number: int) -> None:
        sequence.computed += number
        full = sequence.computed // self.limits.block_size
        if full > sequence.published:
            hashes = list(sequence.chain(full, self.limits.block_size))
            for index in range(sequence.published, full):
                self.pool.publish(sequence.blocks[index], hashes[index])
            sequence.published = full

    def _produce(self, sequence: Sequence) -> Token:
        token_id = self._draw(sequence)
        sequence.tokens.append(token_id)
        reason = sequence.finish_reason(self._eos, self.limits.longest)
        if reason is not None:
            self._leave(sequence)
        return Token(sequence, token_id, reason)

    def _leave(self, sequence: Sequence) -> None:
        self._give_back(sequence)
        sequence.phase = Phase.DONE
        del self._sequences[sequence.request_id]

    def _give_back(self, sequence: Sequence) -> None:
        self.pool.release(sequence.blocks)
        sequence.blocks = []

    def _blocks_of(self, tokens: int) -> int:
        return -(-tokens // self.limits.block_size)
