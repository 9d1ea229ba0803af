"""Local search: tries many small changes of a schedule in one evaluation, and keeps what pays.

Changes that are far enough apart do not feel each other, so each is judged by the misses and the
GPU time of its own surroundings. What those come to that are kept is known with that: the next can
be tried on top of them at once.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace

import numpy as np

from planner.sim.oracle.evaluate import Evaluate, Outcome
from planner.sim.oracle.grid import Grid, Schedule
from planner.sim.oracle.moves import Move, applied, batches, candidates

_SETTLED_SECONDS = 60.0
"""After a change, until backlog and long answers have passed."""
_REPAIRS = 4
"""Evaluations kept for the end of a pass."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Found:
    """A schedule and what it comes to."""

    schedule: Schedule
    outcome: Outcome


@dataclass(frozen=True, slots=True, kw_only=True)
class _Effect:
    """What a move does to its surroundings: GPU seconds saved, and misses more."""

    move: Move
    saved: float
    misses: float

    def gain(self, price: float) -> float:
        return self.saved - price * self.misses


class Search:
    """Improves schedules with at most so many *evaluations*; equal searches find equal ones."""

    def __init__(
        self, evaluate: Evaluate, grid: Grid, *, attainment: float, evaluations: int
    ) -> None:
        self.left = evaluations
        self._evaluate = evaluate
        self._grid = grid
        self._attainment = attainment
        self._settled = int(_SETTLED_SECONDS / grid.interval) + 1

    def look(self, schedule: Schedule) -> Found:
        """Return what *schedule* comes to."""
        self.left -= 1
        return Found(schedule=schedule, outcome=self._evaluate(schedule))

    def polished(self, found: Found, *, price: float, evaluations: int) -> Found:
        """Return *found* after each promising change of it was tried once, as *evaluations* allow.

        A miss costs *price* GPU seconds, and there may be only so many in all.
        """
        least = self.left - evaluations
        believed, made = found, list[_Effect]()
        for group in self._groups(found):
            if self.left <= least + _REPAIRS:
                break
            believed, good = self._tried(believed, group, price=price)
            made += good
        return self._repaired(self.look(believed.schedule), made, least=least)

    def _groups(self, found: Found) -> list[list[Move]]:
        """Return the moves to try, in groups whose members do not feel each other."""
        asked = self._grid.wanted(found.schedule)
        different: dict[tuple[int, int, bytes], Move] = {}
        for move in candidates(found.schedule, found.outcome.misses, self._grid.first_free):
            more = (self._grid.wanted(applied(found.schedule, [move])) - asked)[:, move.role]
            rows = np.flatnonzero(more)
            if len(rows):  # what would be asked for anyway changes nothing
                first, end = int(rows[0]), int(rows[-1]) + 1
                different.setdefault((move.role, first, more[first:end].tobytes()), move)
        return batches(different.values(), before=self._grid.lead + 1, after=self._settled)

    def _tried(
        self, found: Found, group: Sequence[Move], *, price: float
    ) -> tuple[Found, list[_Effect]]:
        """Return *found* with those moves of the *group* that pay, and what each of these does.

        What that comes to is put together: from a refused move to the next it is as it was, since
        backlog may last for long, and elsewhere as tried.
        """
        tried = self.look(applied(found.schedule, group))
        effects = [self._effect(found, tried, move) for move in group]
        good = self._affordable([e for e in effects if e.gain(price) > 1e-6], found, price)
        moves = sorted(effect.move for effect in good)
        misses, gpu_seconds = tried.outcome.misses.copy(), tried.outcome.gpu_seconds.copy()
        begins = [*(self._around(move).start for move in group), len(misses)]
        for move, begin, end in zip(group, begins, begins[1:], strict=False):
            if move not in moves:
                misses[begin:end] = found.outcome.misses[begin:end]
                gpu_seconds[begin:end] = found.outcome.gpu_seconds[begin:end]
        outcome = replace(tried.outcome, misses=misses, gpu_seconds=gpu_seconds)
        return Found(schedule=applied(found.schedule, moves), outcome=outcome), good

    def _repaired(self, found: Found, made: Iterable[_Effect], *, least: int) -> Found:
        """Return *found* without those moves *made* that saved least a miss, if it misses more.

        That is where what was put together is not what came of it.
        """
        undone = iter(sorted((e for e in made if e.misses > 0), key=lambda e: e.saved / e.misses))
        while self.left > least:
            more = float(found.outcome.misses.sum()) - self._allowed(found.outcome)
            back = []
            while more > 0 and (effect := next(undone, None)) is not None:
                more -= effect.misses
                back.append(replace(effect.move, change=-effect.move.change))
            if not back:
                break
            found = self.look(applied(found.schedule, back))
        return found

    def _affordable(self, effects: Iterable[_Effect], found: Found, price: float) -> list[_Effect]:
        """Return the moves that gain most, as long as misses are left for them."""
        left = self._allowed(found.outcome) - float(found.outcome.misses.sum())
        chosen = []
        # Those that spare misses first: others may use them.
        for effect in sorted(effects, key=lambda e: (e.misses > 0, -e.gain(price), e.move)):
            if effect.misses <= 0 or effect.misses <= left:
                left -= effect.misses
                chosen.append(effect)
        return chosen

    def _allowed(self, outcome: Outcome) -> float:
        return (1 - self._attainment) * outcome.requests + 1e-9

    def _effect(self, found: Found, tried: Found, move: Move) -> _Effect:
        around = self._around(move)
        old, new = found.outcome, tried.outcome
        return _Effect(
            move=move,
            saved=float(old.gpu_seconds[around].sum() - new.gpu_seconds[around].sum()),
            misses=float(new.misses[around].sum() - old.misses[around].sum()),
        )

    def _around(self, move: Move) -> slice:
        """Return the steps in which *move* is felt."""
        return slice(max(0, move.first - self._grid.lead - 1), move.end + self._settled)
