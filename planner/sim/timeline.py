"""The virtual clock: things that will happen, in order of time."""

import heapq
from collections.abc import Callable
from typing import Any


class Timeline:
    """Calls what was scheduled, in order of time and then of scheduling: equal runs are equal.

    Times are seconds from the start of the simulation; `now` is the time of the current call.
    """

    __slots__ = ("_heap", "_number", "now")

    def __init__(self) -> None:
        self.now = 0.0
        self._heap: list[tuple[float, int, Callable[..., None], Any]] = []
        self._number = 0

    def at(self, when: float, action: Callable[[Any], None], subject: Any) -> None:
        """Schedule ``action(subject)``; a time that has passed means now."""
        self._number += 1
        heapq.heappush(self._heap, (when, self._number, action, subject))

    def run(self, until: float) -> None:
        """Call everything scheduled for up to and including *until*, also what that schedules."""
        heap, pop = self._heap, heapq.heappop
        while heap and heap[0][0] <= until:
            when, _, action, subject = pop(heap)
            self.now = max(self.now, when)
            action(subject)
        self.now = max(self.now, until)
