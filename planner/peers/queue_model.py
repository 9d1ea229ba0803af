"""The queue model of the workload-variant autoscaler: M/M/1/K with service by batch size.

Service times are linear in the number n in service, in seconds: a decode step takes alpha + beta n,
a prefill gamma + delta * tokens * n. Means only, and no term for the length of the context.
"""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from planner.core.engine import EngineModel

_QUEUE_PER_BATCH = 10
_BISECTIONS = 24
_LEAST_LOAD = 1e-3
_MOST_LOAD = 0.999
# Closer to it the closed form of the series loses its digits.
_NEAR_ONE = 1e-7


@dataclass(frozen=True, slots=True, kw_only=True)
class Server:
    """One engine with requests of fixed lengths; *output_tokens* of 1 is prefill alone.

    Without input tokens nothing is prefilled.
    """

    alpha: float
    beta: float
    gamma: float
    delta: float
    most_in_service: int
    input_tokens: float
    output_tokens: float

    def itl_seconds(self, in_service: float) -> float:
        """Return the time of one decode step."""
        return self.alpha + self.beta * in_service

    def prefill_seconds(self, in_service: float) -> float:
        """Return the time of the prefill of a request."""
        if not self.input_tokens:
            return 0.0
        return self.gamma + self.delta * self.input_tokens * in_service

    def rates(self) -> npt.NDArray[np.float64]:
        """Return the requests a second that leave with 1, 2, ... in service."""
        n = np.arange(1, self.most_in_service + 1, dtype=np.float64)
        steps = self._steps()
        prefill = self.gamma + self.delta * self.input_tokens * n if self.input_tokens else 0.0
        rates: npt.NDArray[np.float64] = n / (prefill + steps * (self.alpha + self.beta * n))
        return rates

    def in_service(self, seconds: float) -> float:
        """Return the number in service at which a request takes *seconds*."""
        fixed = self.prefill_seconds(0) + self._steps() * self.alpha
        slope = self.delta * self.input_tokens + self._steps() * self.beta
        if slope <= 0:
            return float(self.most_in_service)
        return min(max((seconds - fixed) / slope, 0.0), float(self.most_in_service))

    def _steps(self) -> float:
        if not self.input_tokens and self.output_tokens == 1:
            return 1.0
        return self.output_tokens - 1


@dataclass(frozen=True, slots=True, kw_only=True)
class Latency:
    """Mean latencies of one server."""

    ttft_seconds: float
    itl_seconds: float


def fitted(
    engine: EngineModel, *, input_tokens: float, output_tokens: float, context: float, batch: int
) -> Server:
    """Return the server whose times agree with *engine* at batch 1 and at *batch*.

    That is how its parameters are measured: beta = (ITL_N - ITL_1) / (N - 1), alpha = ITL_1 - beta,
    gamma and delta likewise.
    """
    alone = engine.decode.step_seconds(1, context)
    full = engine.decode.step_seconds(batch, batch * context)
    beta = (full - alone) / (batch - 1) if batch > 1 else 0.0
    first, all_of_them = (engine.prefill_seconds([input_tokens] * n) for n in (1, batch))
    slope = (all_of_them - first) / (batch - 1) if batch > 1 else 0.0
    return Server(
        alpha=alone - beta,
        beta=beta,
        gamma=first - slope,
        delta=slope / input_tokens if input_tokens else 0.0,
        most_in_service=batch,
        input_tokens=input_tokens,
        output_tokens=output_tokens,
    )


def latency(server: Server, rate_rps: float) -> Latency:
    """Return the mean latencies at *rate_rps*, of a queue that holds 10 times the batch."""
    return _latency(server, _growth(server), rate_rps)


def _growth(server: Server) -> npt.NDArray[np.float64]:
    """Return, for 0 to N in service, the logarithm of their odds against none, rates left out."""
    growth = -np.cumsum(np.log(server.rates()))
    return np.concatenate([[0.0], growth])


def _latency(server: Server, growth: npt.NDArray[np.float64], rate_rps: float) -> Latency:
    most = server.most_in_service
    number = np.arange(most + 1, dtype=np.float64)
    odds = growth + number * np.log(rate_rps)
    share = np.exp(odds - odds.max())
    # Beyond a full batch every one more is as much less likely: a finite geometric series.
    less = rate_rps * float(np.exp(growth[-1] - growth[-2]))
    places = _QUEUE_PER_BATCH * most
    queued, waiting = _geometric(less, places)
    full = float(share[-1])
    total = float(share.sum()) + full * queued
    done_rps = rate_rps * (1 - full * less**places / total)
    service = (float(share @ number) + most * full * queued) / total / done_rps
    wait = full * waiting / total / done_rps
    in_service = server.in_service(service)
    return Latency(
        ttft_seconds=wait + server.prefill_seconds(in_service),
        itl_seconds=server.itl_seconds(in_service),
    )


def _geometric(ratio: float, count: int) -> tuple[float, float]:
    """Return the sums of ratio^k and of k * ratio^k for k from 1 to *count*."""
    if abs(1 - ratio) < _NEAR_ONE:
        return float(count), count * (count + 1) / 2
    last = ratio**count
    powers = ratio * (1 - last) / (1 - ratio)
    return powers, (powers - count * ratio * last) / (1 - ratio)


def largest_rate(
    server: Server, *, ttft_seconds: float | None, itl_seconds: float | None
) -> float | None:
    """Return the most requests a second with both means in time; None when there is no such rate.

    Searched between 0.1 % of the rate of one alone and 99.9 % of that of a full batch.
    """
    growth, rates = _growth(server), server.rates()

    def is_in_time(rate_rps: float) -> bool:
        found = _latency(server, growth, rate_rps)
        is_first = ttft_seconds is None or found.ttft_seconds <= ttft_seconds
        return is_first and (itl_seconds is None or found.itl_seconds <= itl_seconds)

    low, high = _LEAST_LOAD * float(rates[0]), _MOST_LOAD * float(rates[-1])
    if is_in_time(high):
        return high
    if not is_in_time(low):
        return None
    for _ in range(_BISECTIONS):
        middle = (low + high) / 2
        low, high = (middle, high) if is_in_time(middle) else (low, middle)
    return low
