"""The engines that produce tokens: aggregated ones, and decode ones of a disaggregated fleet."""

from collections import deque
from collections.abc import Callable

from planner.core.engine import EngineModel
from planner.sim.batch import Batch
from planner.sim.engine import KvMemory, nobody_listens
from planner.sim.ledger import Ledger
from planner.sim.timeline import Timeline

Chunks = list[tuple[int, int]]


class ServingEngine:
    """Continuous batching with chunked prefill.

    Every step gives each decoding request a token and fills the rest of the token budget with
    prompts in order. Steps without prompts are taken many at once.

    A request `enter`s and waits in line for memory. If its prompt is to be prefilled elsewhere,
    *send_to_prefill* is called with it once it has some; it `join`s when its KV cache is there.
    """

    def __init__(
        self,
        model: EngineModel,
        timeline: Timeline,
        ledger: Ledger,
        *,
        send_to_prefill: Callable[[int], None],
    ) -> None:
        self.in_flight = 0
        self.is_closing = False
        self.on_empty = nobody_listens
        self._model = model
        self._seats = model.limits.max_num_seqs
        self._timeline = timeline
        self._ledger = ledger
        self._send_to_prefill = send_to_prefill
        self._memory = KvMemory(model)
        self._batch = Batch(model.decode)
        self._line: deque[int] = deque()
        self._remote: set[int] = set()
        self._arrived: deque[int] = deque()
        self._prompts: deque[tuple[int, int]] = deque()
        self._complete: list[int] = []
        self._began = 0.0
        self._steps = 0
        self._run_number = 0

    @property
    def running(self) -> int:
        """Requests in its batch, those whose prompt is under way among them."""
        return self._batch.size + len(self._prompts) + len(self._complete)

    @property
    def waiting(self) -> int:
        """Requests in line for memory, a place in the batch or a share of a step."""
        return len(self._line) + len(self._arrived)

    @property
    def waiting_tokens(self) -> int:
        """Prompt tokens to be prefilled here, in the batch or before it."""
        isl = self._ledger.isl
        begun = sum(isl[request] - start for request, start in self._prompts)
        waiting = (request for request in self._line if request not in self._remote)
        return begun + sum(isl[request] for request in (*waiting, *self._complete))

    @property
    def kv_usage(self) -> float:
        """Share of its KV cache that holds tokens, 0 to 1, as of the last step that mattered."""
        return self._memory.usage

    def enter(self, request: int, *, is_remote: bool) -> None:
        """Take *request* in; *is_remote* tells that its prompt is prefilled elsewhere."""
        self.in_flight += 1
        self._line.append(request)
        if is_remote:
            self._remote.add(request)
            self._let_remote_in()
        elif not self._steps:
            self._next_step()
        elif self._steps > 1 and self._may_admit():
            self._stop_early()

    def join(self, request: int) -> None:
        """Decode *request* from the next step on: its KV cache is here."""
        self._arrived.append(request)
        if not self._steps:
            self._next_step()
        elif self._steps > 1 and self.running < self._seats:
            self._stop_early()

    def _tokens(self, request: int) -> int:
        return self._ledger.isl[request] + self._ledger.osl[request]

    def _let_remote_in(self) -> None:
        """Give memory to those first in line that need nothing else here."""
        while self._line and self._line[0] in self._remote:
            request = self._line[0]
            if not self._memory.fits(self._tokens(request)):
                return
            self._remote.remove(request)
            self._take_first()
            self._send_to_prefill(request)

    def _take_first(self) -> int:
        request = self._line.popleft()
        self._memory.take(self._tokens(request))
        self._memory.tokens += self._ledger.isl[request]
        return request

    def _may_admit(self) -> bool:
        """Return whether the first in line can begin its prompt here."""
        return (
            bool(self._line)
            and self._line[0] not in self._remote
            and self.running < self._seats
            and self._memory.fits(self._tokens(self._line[0]))
        )

    def _next_step(self) -> None:
        """Take one step with prompts in it, or many without."""
        joined = self._seat_arrived()
        self._began = self._timeline.now
        chunks = self._chunks(self._model.limits.max_num_batched_tokens - self._batch.size)
        if chunks:
            first = self._model.step_seconds(
                decoding=self._batch.size, kv_tokens=self._batch.kv_tokens, chunks=chunks
            )
            self._run(1, first)
        elif self._batch.size:
            first = self._batch.seconds(1)
            steps = self._batch.steps_to_next_end()
            self._run(steps, self._batch.seconds(steps))
        else:
            self._steps = 0
            return
        for request in joined:
            self._ledger.produced_first(request, self._began + first)

    def _seat_arrived(self) -> list[int]:
        joined = []
        while self._arrived and self.running < self._seats:
            request = self._arrived.popleft()
            isl, osl = self._ledger.isl[request], self._ledger.osl[request]
            self._batch.add(request, context=isl, tokens=osl)
            joined.append(request)
        return joined

    def _chunks(self, budget: int) -> Chunks:
        """Share *budget* out to prompts: first to the one begun, then to the next in line."""
        chunks: Chunks = []
        while budget > 0 and (self._prompts or self._may_admit()):
            request, start = self._prompts.popleft() if self._prompts else (self._admit(), 0)
            end = min(self._ledger.isl[request], start + budget)
            chunks.append((start, end))
            budget -= end - start
            if end == self._ledger.isl[request]:
                self._complete.append(request)
            else:
                self._prompts.append((request, end))
        return chunks

    def _admit(self) -> int:
        request = self._take_first()
        self._let_remote_in()
        return request

    def _stop_early(self) -> None:
        """End the run at the step that is under way, to let a newcomer in."""
        steps = self._batch.steps_reaching(self._timeline.now - self._began)
        if steps < self._steps:
            self._run(steps, self._batch.seconds(steps))

    def _run(self, steps: int, seconds: float) -> None:
        self._steps = steps
        self._run_number += 1
        self._timeline.at(self._began + seconds, self._done, self._run_number)

    def _done(self, run_number: int) -> None:
        if run_number != self._run_number:
            return  # the run that this was the end of was stopped early
        self._memory.tokens += self._batch.size * self._steps
        for request in self._batch.advance(self._steps):
            self._leave(request)
        complete, self._complete = self._complete, []
        for request in complete:
            self._begin_decoding(request)
        self._let_remote_in()
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
