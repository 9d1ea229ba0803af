"""What happens to the fleet on the virtual clock: looks, starts and ends of replicas.

These are few; what happens to requests in between is the deployment's, which runs up to them.
"""

import heapq
from collections.abc import Callable
from typing import Any, Protocol


class _Between(Protocol):
    """What goes on between the things on a timeline."""

    @property
    def now(self) -> float:
        """The time up to which it has gone on."""
        ...

    def number(self) -> int:
        """Return the number of something that is scheduled now."""
        ...

    def run(self, until: float, number: int) -> int | None:
        """Go on to *until*, and to what was scheduled for then before *number*.

        Returns None once there, or something that has happened earlier.
        """
        ...


LAST = 2**62
"""A number that nothing scheduled reaches."""


class Timeline:
    """Calls what was scheduled, in order of time and then of scheduling: equal runs are equal.

    Times are seconds from the start of the simulation. *notice* is called with what *between*
    returns on its way.
    """

    def __init__(self, between: _Between) -> None:
        self.notice: Callable[[int], None] = _ignore
        self._between = between
        self._heap: list[tuple[float, int, Callable[..., None], Any]] = []

    @property
    def now(self) -> float:
        """The time of the current call."""
        return self._between.now

    def at(self, when: float, action: Callable[[Any], None], subject: Any) -> None:
        """Schedule ``action(subject)``; a time that has passed means now."""
        heapq.heappush(self._heap, (when, self._between.number(), action, subject))

    def run(self, until: float) -> None:
        """Call everything scheduled for up to and including *until*, also what that schedules."""
        while self._heap and self._heap[0][0] <= until:
            when, number = self._heap[0][:2]
            self._go_to(when, number)
            _, _, action, subject = heapq.heappop(self._heap)
            action(subject)
        self._go_to(until, LAST)

    def end(self) -> None:
        """Forget what is scheduled, and who holds on to this."""
        self._heap.clear()
        self.notice = _ignore

    def _go_to(self, when: float, number: int) -> None:
        while (happened := self._between.run(when, number)) is not None:
            self.notice(happened)


def _ignore(_: int) -> None:
    """Do nothing."""
