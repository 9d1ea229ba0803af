"""An aggregated engine: prefills and decodes in the same steps."""

from collections import deque

from planner.core.engine import EngineModel
from planner.sim.batch import Batch
from planner.sim.engine import KvMemory, nobody_listens
from planner.sim.ledger import Ledger
from planner.sim.timeline import Timeline


class AggregatedEngine:
    """Continuous batching with chunked prefill.

    Every step gives each decoding request a token and fills the rest of the token budget with
    prompts in order. Steps without prompts are taken many at once.
    """

    def __init__(self, model: EngineModel, timeline: Timeline, ledger: Ledger) -> None:
        self.in_flight = 0
        self.is_closing = False
        self.on_empty = nobody_listens
        self._model = model
        self._timeline = timeline
        self._ledger = ledger
        self._memory = KvMemory(model)
        self._batch = Batch(model.decode)
        self._line: deque[int] = deque()
        self._prompts: deque[tuple[int, int]] = deque()
        self._complete: list[int] = []
        self._began = 0.0
        self._steps = 0
        self._number = 0

    @property
    def running(self) -> int:
        """Requests in its batch, those whose prompt is under way among them."""
        return self._batch.size + len(self._prompts) + len(self._complete)

    @property
    def waiting(self) -> int:
        """Requests in line for memory, a place in the batch or a share of a step."""
        return len(self._line)

    @property
    def waiting_tokens(self) -> int:
        """Prompt tokens to be prefilled, in the batch or before it."""
        isl = self._ledger.isl
        begun = sum(isl[request] - start for request, start in self._prompts)
        return begun + sum(isl[request] for request in (*self._line, *self._complete))

    @property
    def kv_usage(self) -> float:
        """Share of its KV cache that holds tokens, 0 to 1, as of the last step that mattered."""
        return self._memory.usage

    def enter(self, request: int) -> None:
        """Take *request* in; it waits in line for memory and a place in the batch."""
        self.in_flight += 1
        self._line.append(request)
        if not self._steps:
            self._next_step()
        elif self._steps > 1 and self._is_next_admitted():
            self._stop_early()

    def _is_next_admitted(self) -> bool:
        limits, request = self._model.limits, self._line[0]
        seated = self._batch.size + len(self._prompts)
        return seated < limits.max_num_seqs and self._memory.fits(self._tokens(request))

    def _tokens(self, request: int) -> int:
        return self._ledger.isl[request] + self._ledger.osl[request]

    def _next_step(self) -> None:
        """Take one step with prompts in it, or many without."""
        chunks = self._chunks(self._model.limits.max_num_batched_tokens - self._batch.size)
        self._began = self._timeline.now
        if chunks:
            seconds = self._model.step_seconds(
                decoding=self._batch.size, kv_tokens=self._batch.kv_tokens, chunks=chunks
            )
            self._run(1, seconds)
        elif self._batch.size:
            steps = self._batch.steps_to_next_end()
            self._run(steps, self._batch.seconds(steps))
        else:
            self._steps = 0

    def _chunks(self, budget: int) -> list[tuple[int, int]]:
        """Share *budget* out to prompts: first to those begun, then to the next in line."""
        chunks = []
        unfinished: deque[tuple[int, int]] = deque()
        while budget > 0 and (self._prompts or self._admit()):
            request, start = self._prompts.popleft()
            end = min(self._ledger.isl[request], start + budget)
            chunks.append((start, end))
            budget -= end - start
            if end == self._ledger.isl[request]:
                self._complete.append(request)
            else:
                unfinished.append((request, end))
        self._prompts.extendleft(reversed(unfinished))
        return chunks

    def _admit(self) -> bool:
        """Move the next in line to the prompts, if there is room for it."""
        seated = self._batch.size + len(self._prompts) + len(self._complete)
        if not self._line or seated >= self._model.limits.max_num_seqs:
            return False
        if not self._memory.fits(self._tokens(self._line[0])):
            return False
        request = self._line.popleft()
        self._memory.take(self._tokens(request))
        self._memory.tokens += self._ledger.isl[request]
        self._prompts.append((request, 0))
        return True

    def _stop_early(self) -> None:
        steps = self._batch.steps_reaching(self._timeline.now - self._began)
        if steps < self._steps:
            self._run(steps, self._batch.seconds(steps))

    def _run(self, steps: int, seconds: float) -> None:
        self._steps = steps
        self._number += 1
        self._timeline.at(self._began + seconds, self._done, self._number)

    def _done(self, number: int) -> None:
        if number != self._number:
            return  # the run that this was the end of was stopped early
        self._memory.tokens += self._batch.size * self._steps
        for request in self._batch.advance(self._steps):
            self._leave(request)
        complete, self._complete = self._complete, []
        for request in complete:
            self._begin_decoding(request)
        self._next_step()
        if not self.in_flight:
            self.on_empty()

    def _begin_decoding(self, request: int) -> None:
        """The step that completed the prompt gave the first token; the rest is decoded."""
        isl, osl = self._ledger.isl[request], self._ledger.osl[request]
        self._ledger.produced_first(request, self._timeline.now)
        self._memory.tokens += 1
        if osl == 1:
            self._leave(request)
        else:
            self._batch.add(request, context=isl + 1, tokens=osl - 1)

    def _leave(self, request: int) -> None:
        tokens = self._tokens(request)
        self._memory.give_back(tokens)
        self._memory.tokens -= tokens
        self.in_flight -= 1
        self._ledger.finished(request, self._timeline.now)
