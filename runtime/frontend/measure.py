"""One request's numbers, from its arrival to whichever end it finds."""

import asyncio
import time
from collections.abc import Callable
from types import TracebackType
from typing import Self

from runtime.frontend.errors import ApiError
from runtime.frontend.metrics import ModelMetrics, Status


class Measure:
    """Entered when a request is accepted; at its exit everything about it is counted once.

    A request that fails is outside the SLA. A client that hangs up is judged only by what it had
    seen: outside if the first token was already late, else neither.
    """

    def __init__(
        self,
        metrics: ModelMetrics,
        *,
        isl: int,
        arrived: float,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.osl = 0
        self.cached_tokens = 0
        self.expected_cached_tokens = 0
        """As far as the routing knew where it sent it."""
        self._metrics = metrics
        self._isl = isl
        self._arrived = arrived
        self._clock = clock
        self._first: float | None = None
        self._last = arrived

    def tokens(self, count: int) -> None:
        """Take note of *count* tokens that have just come."""
        self._last = self._clock()
        if self._first is None:
            self._first = self._last
        self.osl += count

    def __enter__(self) -> Self:
        """Count the arrival."""
        self._metrics.started.inc()
        self._metrics.in_flight.inc()
        self._metrics.isl.observe(self._isl)
        self._metrics.isl_squared.inc(self._isl * self._isl)
        self._metrics.arrivals.add(self._isl)
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        """Count the end."""
        metrics = self._metrics
        metrics.in_flight.dec()
        metrics.ended(_status(error))
        metrics.duration.observe(self._clock() - self._arrived)
        metrics.output_tokens.inc(self.osl)
        metrics.cached_tokens.inc(self.cached_tokens)
        metrics.expected_cached_tokens.inc(self.expected_cached_tokens)
        if self._first is not None:
            metrics.ttft.observe(self._first - self._arrived)
        if error is None:
            self._finished()
        elif isinstance(error, asyncio.CancelledError):
            self._hung_up()
        elif _status(error) is not Status.INVALID:
            metrics.outside_sla.inc()

    def _finished(self) -> None:
        metrics, osl = self._metrics, self.osl
        metrics.osl.observe(osl)
        metrics.context_output.inc((self._isl + osl / 2) * osl)
        itl = self._itl()
        if itl is not None:
            metrics.itl.observe(itl)
        ttft = (self._last if self._first is None else self._first) - self._arrived
        inside = metrics.targets.met_by(ttft=ttft, itl=itl)
        (metrics.within_sla if inside else metrics.outside_sla).inc()

    def _hung_up(self) -> None:
        self._metrics.disconnected.inc()
        first = self._clock() if self._first is None else self._first
        if self._metrics.targets.missed_after(first - self._arrived):
            self._metrics.outside_sla.inc()

    def _itl(self) -> float | None:
        if self._first is None or self.osl < 2:
            return None
        return (self._last - self._first) / (self.osl - 1)


def _status(error: BaseException | None) -> Status:
    if error is None:
        return Status.SUCCESS
    if isinstance(error, ApiError):
        return status_of(error)
    return Status.DISCONNECTED if isinstance(error, asyncio.CancelledError) else Status.ERROR


def status_of(error: ApiError) -> Status:
    """Return how a request ended that got *error*."""
    if error.status < 500:
        return Status.INVALID
    return {503: Status.UNAVAILABLE, 504: Status.DEADLINE}.get(error.status, Status.ERROR)
