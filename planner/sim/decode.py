"""A decode engine: holds memory for prompts that are prefilled elsewhere, then decodes them."""

from collections import deque
from collections.abc import Callable

from planner.core.engine import EngineModel
from planner.sim.batch import Batch
from planner.sim.engine import KvMemory, nobody_listens
from planner.sim.ledger import Ledger
from planner.sim.timeline import Timeline


class DecodeEngine:
    """Continuous batching of requests whose KV cache arrives from a prefill engine.

    A request `enter`s and waits for memory; *send_to_prefill* is called with it when it has some.
    It `join`s when its KV cache is there: from the next step on it gets a token a step.
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
        self._timeline = timeline
        self._ledger = ledger
        self._send_to_prefill = send_to_prefill
        self._seats = model.limits.max_num_seqs
        self._memory = KvMemory(model)
        self._batch = Batch(model.decode)
        self._line: deque[int] = deque()
        self._arrived: deque[int] = deque()
        self._began = 0.0
        self._steps = 0
        self._number = 0

    @property
    def running(self) -> int:
        """Requests in its batch."""
        return self._batch.size

    @property
    def waiting(self) -> int:
        """Requests in line for memory, and those that wait for a place in the batch."""
        return len(self._line) + len(self._arrived)

    @property
    def waiting_tokens(self) -> int:
        """None of its prompts is prefilled here."""
        return 0

    @property
    def kv_usage(self) -> float:
        """Share of its KV cache that holds tokens, 0 to 1, as of the last step that mattered."""
        return self._memory.usage

    def enter(self, request: int) -> None:
        """Take *request* in; it waits in line for memory."""
        self.in_flight += 1
        self._line.append(request)
        self._let_in()

    def join(self, request: int) -> None:
        """Decode *request* from the next step on: its KV cache is here."""
        self._arrived.append(request)
        if not self._steps:
            self._next_step()
        elif self._steps > 1 and self._batch.size + len(self._arrived) <= self._seats:
            self._stop_early()

    def _let_in(self) -> None:
        isl, osl, memory = self._ledger.isl, self._ledger.osl, self._memory
        while self._line and memory.fits(isl[self._line[0]] + osl[self._line[0]]):
            request = self._line.popleft()
            memory.take(isl[request] + osl[request])
            memory.tokens += isl[request]
            self._send_to_prefill(request)

    def _next_step(self) -> None:
        """Seat who has arrived and run until the next request ends."""
        joined = []
        while self._arrived and self._batch.size < self._seats:
            request = self._arrived.popleft()
            isl, osl = self._ledger.isl[request], self._ledger.osl[request]
            self._batch.add(request, context=isl, tokens=osl)
            joined.append(request)
        if not self._batch.size:
            self._steps = 0
            return
        self._began = self._timeline.now
        first_token = self._began + self._batch.seconds(1)
        for request in joined:
            self._ledger.produced_first(request, first_token)
        self._run(self._batch.steps_to_next_end())

    def _stop_early(self) -> None:
        """End the run at the step that is under way, to let a newcomer in."""
        steps = self._batch.steps_reaching(self._timeline.now - self._began)
        if steps < self._steps:
            self._run(steps)

    def _run(self, steps: int) -> None:
        self._steps = steps
        self._number += 1
        self._timeline.at(self._began + self._batch.seconds(steps), self._done, self._number)

    def _done(self, number: int) -> None:
        if number != self._number:
            return  # the run that this was the end of was stopped early
        size = self._batch.size
        ended = self._batch.advance(self._steps)
        self._memory.tokens += size * self._steps
        for request in ended:
            self._leave(request)
        if ended:
            self._let_in()
        self._next_step()
        if not self.in_flight:
            self.on_empty()

    def _leave(self, request: int) -> None:
        tokens = self._ledger.isl[request] + self._ledger.osl[request]
        self._memory.give_back(tokens)
        self._memory.tokens -= tokens
        self.in_flight -= 1
        self._ledger.finished(request, self._timeline.now)
