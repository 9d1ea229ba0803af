"""A prefill engine: takes prompts from a queue that all of them share, as they fit into a step."""

from collections import deque
from collections.abc import Callable

from planner.core.engine import EngineModel
from planner.sim.engine import nobody_listens
from planner.sim.ledger import Ledger
from planner.sim.timeline import Timeline


class PrefillEngine:
    """Computes prompts in order, each step up to the token budget; *deliver* takes the finished.

    A prompt that does not fit into the rest of a step is begun in it and goes on in the next.
    """

    def __init__(
        self,
        model: EngineModel,
        timeline: Timeline,
        ledger: Ledger,
        *,
        queue: deque[int],
        deliver: Callable[[int], None],
    ) -> None:
        self.is_closing = False
        self.on_empty = nobody_listens
        self._timeline = timeline
        self._isl = ledger.isl
        self._model = model
        self._queue = queue
        self._deliver = deliver
        self._complete: list[int] = []
        self._partial: tuple[int, int] | None = None

    @property
    def in_flight(self) -> int:
        """Prompts that it has begun and not delivered."""
        return len(self._complete) + (self._partial is not None)

    @property
    def running(self) -> int:
        """Prompts in its step: all that it has taken."""
        return self.in_flight

    @property
    def waiting(self) -> int:
        """Prompts wait in the shared queue, never here."""
        return 0

    @property
    def waiting_tokens(self) -> int:
        """Tokens of the prompts in its step; those in the shared queue are not known to it."""
        return sum(self._isl[request] for request in self._taken())

    @property
    def kv_usage(self) -> float:
        """Share of its KV cache that the prompts in its step fill, 0 to 1."""
        return min(1.0, self.waiting_tokens / self._model.limits.kv_capacity_tokens)

    def pull(self) -> None:
        """Begin a step when idle and something is queued."""
        if not self.in_flight and self._queue:
            self._step()

    def _taken(self) -> list[int]:
        return [*self._complete, *([self._partial[0]] if self._partial else [])]

    def _step(self) -> None:
        """Fill a step from the prompt that was begun and from the queue."""
        budget = self._model.limits.max_num_batched_tokens
        chunks: list[tuple[int, int]] = []
        partial, self._partial = self._partial, None
        while budget and (partial or (self._queue and not self.is_closing)):
            request, start = partial or (self._queue.popleft(), 0)
            partial = None
            end = min(self._isl[request], start + budget)
            chunks.append((start, end))
            budget -= end - start
            if end == self._isl[request]:
                self._complete.append(request)
            else:
                self._partial = (request, end)
        if chunks:
            seconds = self._model.step_seconds(decoding=0, kv_tokens=0, chunks=chunks)
            self._timeline.at(self._timeline.now + seconds, self._done, None)

    def _done(self, _: None) -> None:
        complete, self._complete = self._complete, []
        for request in complete:
            self._deliver(request)
        self._step()
        if not self.in_flight:
            self.on_empty()
