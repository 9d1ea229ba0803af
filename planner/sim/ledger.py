"""What happens to each request, and the counters that frontends would show of it."""

from math import nan

from planner.core.observation import Traffic
from planner.core.sla import Sla
from planner.traces import Trace


class Ledger:
    """Requests by number, in order of arrival, with the moments that matter for the SLA.

    `first_token` and `finish` hold seconds of the virtual clock, nan where it did not happen.
    """

    def __init__(self, trace: Trace, sla: Sla) -> None:
        self.arrival: list[float] = trace.arrival_seconds.tolist()
        self.isl: list[int] = trace.isl.tolist()
        self.osl: list[int] = trace.osl.tolist()
        self.first_token = [nan] * len(trace)
        self.finish = [nan] * len(trace)
        self.failed: list[int] = []
        self.in_flight = 0
        self._sla = sla
        self._since = 0.0
        self._reset()

    def arrived(self, request: int) -> None:
        """Count a request that was accepted."""
        isl = self.isl[request]
        self.in_flight += 1
        self._arrived += 1
        self._isl_sum += isl
        self._isl_squared_sum += isl * isl

    def rejected(self, request: int) -> None:
        """Count an accepted request that failed."""
        self.in_flight -= 1
        self.failed.append(request)
        self._failed += 1

    def produced_first(self, request: int, at: float) -> None:
        """Record the first token of *request*."""
        self.first_token[request] = at
        self._ttft_sum += at - self.arrival[request]
        self._ttft_count += 1

    def finished(self, request: int, at: float) -> None:
        """Record the last token of *request*."""
        self.finish[request] = at
        self.in_flight -= 1
        isl, osl, first = self.isl[request], self.osl[request], self.first_token[request]
        self._finished += 1
        self._osl_sum += osl
        self._context_osl_sum += (isl + osl / 2) * osl
        itl = None
        if osl > 1:
            itl = (at - first) / (osl - 1)
            self._itl_sum += itl
            self._itl_count += 1
        self._within_sla += self._is_within(first - self.arrival[request], itl)

    def traffic(self, now: float) -> Traffic:
        """Return what was counted since the last call."""
        traffic = Traffic(
            seconds=now - self._since,
            arrived=self._arrived,
            isl_sum=self._isl_sum,
            isl_squared_sum=self._isl_squared_sum,
            finished=self._finished,
            osl_sum=self._osl_sum,
            context_osl_sum=self._context_osl_sum,
            failed=self._failed,
            within_sla=self._within_sla,
            ttft_sum=self._ttft_sum,
            ttft_count=self._ttft_count,
            itl_sum=self._itl_sum,
            itl_count=self._itl_count,
        )
        self._since = now
        self._reset()
        return traffic

    def _is_within(self, ttft: float, itl: float | None) -> bool:
        sla = self._sla
        if sla.ttft_seconds is not None and ttft > sla.ttft_seconds:
            return False
        return itl is None or sla.itl_seconds is None or itl <= sla.itl_seconds

    def _reset(self) -> None:
        self._arrived = self._finished = self._failed = self._within_sla = 0
        self._ttft_count = self._itl_count = 0
        self._isl_sum = self._isl_squared_sum = 0.0
        self._osl_sum = self._context_osl_sum = self._ttft_sum = self._itl_sum = 0.0
