"""Queueing formulas in closed form: who finds all servers busy, and how numbers fluctuate."""

from math import exp, sqrt
from statistics import NormalDist

_NORMAL = NormalDist()
# Far below the load the recursion forgets where it began.
_FORGOTTEN_DEVIATIONS = 6
_SMALL_LOAD = 64.0
_NEWTON_STEPS = 12
_PRECISION = 1e-6


def erlang_b(servers: int, load: float) -> float:
    """Return the share of time that all *servers* are busy when nobody waits for one.

    *load* is the arrival rate times the mean service time, and may be above the servers.
    """
    if load <= 0:
        return 0.0
    first = 0
    if load > _SMALL_LOAD:
        first = max(0, int(min(load, servers) - _FORGOTTEN_DEVIATIONS * sqrt(load)))
    blocked = 1 - first / load
    for busy in range(first + 1, servers + 1):
        blocked = load * blocked / (busy + load * blocked)
        if not blocked:  # below the least float; it stays so, over thousands of servers
            break
    return blocked


def batch_queue_ratio(load: float, most: float, *, least: float = 0.0) -> float:
    """Return r, where while all servers are busy a queue of n + 1 is r times as likely as one of n.

    *load* is how many arrive until a server is free, which takes up to *most* of those who wait:
    r + r^2 + ... + r^most = load. One at a time is the usual queue, with r = load; without a limit
    r = load / (1 + load). 1 at or above what the servers do. *least* is a bound that is known from
    a smaller load.
    """
    if load >= most:
        return 1.0
    if most == 1:
        return load
    ratio = max(least, load / (1 + load))
    for _ in range(_NEWTON_STEPS):  # from below, where the function is convex: never beyond
        power = ratio**most
        value = load - (1 + load) * ratio + ratio * power
        step = value / (1 + load - (most + 1) * power)
        ratio += step
        if step < _PRECISION:  # and its square from the root
            break
    return min(ratio, 1.0)


def all_busy(servers: int, load: float, *, ratio: float) -> float:
    """Return the share of arrivals that wait, for a queue that falls off by *ratio*.

    *load* is the arrival rate times the mean service time. With ratio = load / servers it is
    Erlang's C.
    """
    if ratio >= 1:
        return 1.0
    blocked = erlang_b(servers, load)
    return blocked / (1 - ratio + blocked * ratio)


def poisson_at_most(count: float, mean: float) -> float:
    """Return the share of time that a Poisson number of this *mean* is at most *count*.

    By the square-root transform, within 0.03 of the exact value, and never less than the share of
    none; *count* may be fractional. For numbers whose variance is f times their mean, divide both
    by f.
    """
    if mean <= 0:
        return 1.0
    if count < 0:
        return 0.0
    return max(exp(-mean), _NORMAL.cdf(2 * (sqrt(count + 0.75) - sqrt(mean))))
