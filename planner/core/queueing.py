"""Waiting times of a pool of servers with one queue, in closed form.

Textbook formulas: Erlang C for exponential service, the Allen-Cunneen correction for other
variabilities, and the square-root approximation of the Poisson distribution.
"""

from dataclasses import dataclass
from math import exp, inf, sqrt
from statistics import NormalDist

_NORMAL = NormalDist()


def erlang_c(servers: int, load: float) -> float:
    """Return the share of arrivals that wait, for *load* busy servers on average of *servers*.

    *load* is the arrival rate times the mean service time; 1 at or above what the servers do.
    """
    if load <= 0:
        return 0.0
    if load >= servers:
        return 1.0
    if servers > load + 12 * sqrt(load) + 12:
        return 0.0  # below 1e-20
    blocked = 1.0
    for busy in range(1, servers + 1):
        blocked = load * blocked / (busy + load * blocked)
    return blocked * servers / (servers - load * (1 - blocked))


@dataclass(frozen=True, slots=True, kw_only=True)
class Wait:
    """The distribution of the wait: a share of arrivals waits at all, exponentially long."""

    share: float
    mean_seconds: float
    """Of those who wait; infinite without spare capacity."""

    def above(self, seconds: float) -> float:
        """Return the share of arrivals that wait longer than *seconds*; 1 for negative ones."""
        if seconds < 0:
            return 1.0
        if self.mean_seconds == 0:
            return self.share if seconds == 0 else 0.0
        return self.share * exp(-seconds / self.mean_seconds)


def wait(servers: int, load: float, *, service_seconds: float, variability: float = 1.0) -> Wait:
    """Return the wait for one of *servers* at *load* busy ones on average.

    *variability* is (ca^2 + cs^2) / 2, the mean squared coefficient of variation of the times
    between arrivals and of service: 1 is M/M/c and exact.
    """
    if load >= servers:
        return Wait(share=1.0, mean_seconds=inf)
    return Wait(
        share=erlang_c(servers, load),
        mean_seconds=variability * service_seconds / (servers - load),
    )


def poisson_at_most(count: float, mean: float) -> float:
    """Return the share of time that a Poisson number of this *mean* is at most *count*.

    By the square-root transform, within 0.03 of the exact value; *count* may be fractional.
    """
    if mean <= 0:
        return 1.0
    if count < 0:
        return 0.0
    return _NORMAL.cdf(2 * (sqrt(count + 0.75) - sqrt(mean)))
