"""Small changes of a schedule, and which of them can be tried at once."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace

import numpy as np

from planner.sim.oracle.grid import Floats, Schedule

_STRIDES = (1, 2, 4, 8)
_BLOCKS = (3, 9)
"""Steps of the blocks that are raised where requests miss."""


@dataclass(frozen=True, slots=True, kw_only=True, order=True)
class Move:
    """*change* replicas more of a role (its column) in the steps from *first* to *end*."""

    first: int
    end: int
    role: int
    change: int


def applied(schedule: Schedule, moves: Sequence[Move]) -> Schedule:
    """Return *schedule* after *moves*; at least one replica of each role stays."""
    changed = schedule.copy()
    for move in moves:
        changed[move.first : move.end, move.role] += move.change
    lowest: Schedule = np.maximum(changed, 1)
    return lowest


def candidates(schedule: Schedule, misses: Floats, first_free: int) -> list[Move]:
    """Return the moves worth a try: at every edge of the schedule, and where requests miss."""
    found = {
        replace(move, first=max(move.first, first_free))
        for role in range(schedule.shape[1])
        for move in (*_edges(schedule[:, role], role), *_raises(misses, role, len(schedule)))
    }
    return sorted(move for move in found if move.first < move.end)


def _edges(level: Schedule, role: int) -> Iterator[Move]:
    """Yield edges moved either way, and what stands out levelled."""
    steps = len(level)
    for edge in (np.flatnonzero(np.diff(level)) + 1).tolist():
        rises = level[edge] > level[edge - 1]
        for stride in _STRIDES:
            before, after = max(0, edge - stride), min(steps, edge + stride)
            yield Move(first=before, end=edge, role=role, change=1 if rises else -1)
            yield Move(first=edge, end=after, role=role, change=-1 if rises else 1)
        # From this edge to the next one that undoes it.
        beyond = level[edge:] < level[edge] if rises else level[edge:] > level[edge]
        end = edge + int(np.argmax(beyond)) if beyond.any() else steps
        yield Move(first=edge, end=end, role=role, change=-1 if rises else 1)
    yield Move(first=0, end=steps, role=role, change=-1)


def _raises(misses: Floats, role: int, steps: int) -> Iterator[Move]:
    for step in np.flatnonzero(misses).tolist():
        for block in _BLOCKS:
            first = max(0, step - block // 2)
            yield Move(first=first, end=min(steps, first + block), role=role, change=1)


def batches(moves: Iterable[Move], *, before: int, after: int) -> list[list[Move]]:
    """Return the *moves* in groups whose members do not feel each other.

    A move is felt from *before* steps ahead of it until *after* steps behind it.
    """
    groups: list[list[Move]] = []
    ends: list[int] = []
    for move in moves:  # by their first step
        free = next((i for i, end in enumerate(ends) if end <= move.first - before), None)
        if free is None:
            groups.append([move])
            ends.append(move.end + after)
        else:
            groups[free].append(move)
            ends[free] = move.end + after
    return groups
