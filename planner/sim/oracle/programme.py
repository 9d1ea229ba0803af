"""The cheapest schedule for known misses: a dynamic programme over steps and replicas."""

import numpy as np

from planner.sim.oracle.grid import Floats, Ints


def cheapest(
    misses: Floats,
    *,
    price: float,
    step_cost: Floats,
    start_cost: Floats,
    opening: tuple[int, int],
) -> Ints:
    """Return the replicas of each step with the least cost of time, starts and misses.

    Row k of *misses* has step k's with 0, 1, 2, ... replicas; at least one serves. *step_cost* is
    what a replica costs in each step and *start_cost* what its start for that step does; *price*
    is that of a miss. *opening* is how many serve at the beginning, and for how many steps no
    more can.
    """
    steps, levels = misses.shape
    first, held = opening
    levels = max(levels, first + 1)
    table = np.zeros((steps, levels))
    table[:, : misses.shape[1]] = misses
    count = np.arange(levels)
    before = np.full(levels, np.inf)
    before[first] = 0.0
    came_from = np.empty((steps, levels), dtype=np.int32)
    for k in range(steps):
        start = np.inf if k < held else float(start_cost[k])
        before, came_from[k] = _moved(before, start, count)
        before = before + step_cost[k] * count + price * table[k]
        before[0] = np.inf
    chosen = np.empty(steps, dtype=np.int64)
    level = int(np.argmin(before))
    for k in range(steps - 1, -1, -1):
        chosen[k] = level
        level = int(came_from[k, level])
    return chosen


def _moved(cost: Floats, start: float, count: Ints) -> tuple[Floats, Ints]:
    """Return the least cost of being at each count after a change, and where from.

    Going down is free, every replica up costs a *start*.
    """
    from_above = np.minimum.accumulate(cost[::-1])[::-1]
    above = _latest(cost[::-1], from_above[::-1], count)
    source = count[-1] - above[::-1]
    if not np.isfinite(start):
        return from_above, source
    relative = cost - start * count
    lowest = np.minimum.accumulate(relative)
    from_below = lowest + start * count
    is_below = from_below < from_above
    below = _latest(relative, lowest, count)
    return np.where(is_below, from_below, from_above), np.where(is_below, below, source)


def _latest(values: Floats, minima: Floats, count: Ints) -> Ints:
    """Return the last place up to each one where *values* took its running minimum."""
    places: Ints = np.maximum.accumulate(np.where(values == minima, count, 0))
    return places
