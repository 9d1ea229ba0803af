"""Requests that decode together, advanced by many steps at once.

While nobody joins or leaves, the step times grow by a constant, so the time of k steps is a sum in
closed form. This is what makes days of traffic affordable.
"""

import heapq
from math import sqrt

from planner.core.engine import DecodeLaw


class Batch:
    """The decoding requests of one engine. Steps are counted from the engine's first one."""

    __slots__ = (
        "_base",
        "_ends",
        "_law",
        "_per_kv_token",
        "_per_request",
        "_steps",
        "kv_tokens",
        "size",
    )

    def __init__(self, law: DecodeLaw) -> None:
        self._base = law.base_seconds
        self._per_request = law.request_seconds
        self._per_kv_token = law.kv_token_seconds
        self.size = 0
        self.kv_tokens = 0
        """Tokens that the next step reads."""
        self._steps = 0
        self._ends: list[tuple[int, int, int]] = []

    def add(self, request: int, *, context: int, tokens: int) -> None:
        """Let *request* produce *tokens*, one a step; its first step reads *context* tokens."""
        self.size += 1
        self.kv_tokens += context
        heapq.heappush(self._ends, (self._steps + tokens, request, context + tokens))

    def steps_to_next_end(self) -> int:
        """Return after how many steps the next request has all its tokens."""
        return self._ends[0][0] - self._steps

    def seconds(self, steps: int) -> float:
        """Return the time that the next *steps* steps take, if nobody joins or leaves."""
        first = self._base + self._per_request * self.size + self._per_kv_token * self.kv_tokens
        growth = self._per_kv_token * self.size
        return steps * (first + growth * (steps - 1) / 2)

    def steps_reaching(self, seconds: float) -> int:
        """Return the fewest steps, at least one, that take *seconds* or longer."""
        half_growth = self._per_kv_token * self.size / 2
        linear = self.seconds(1) - half_growth
        # half_growth*k^2 + linear*k = seconds, in the form that does not cancel:
        k = 2 * seconds / (linear + sqrt(linear * linear + 4 * half_growth * seconds))
        steps = max(1, int(k))
        while self.seconds(steps) < seconds:
            steps += 1
        return steps

    def advance(self, steps: int) -> list[int]:
        """Take *steps* steps and return the requests that have all their tokens after them."""
        self._steps += steps
        self.kv_tokens += steps * self.size
        ended = []
        while self._ends and self._ends[0][0] <= self._steps:
            _, request, context = heapq.heappop(self._ends)
            self.size -= 1
            self.kv_tokens -= context
            ended.append(request)
        return ended
