"""Local search: tries many small changes of a schedule in one evaluation, and keeps what pays.

Changes that are far enough apart do not feel each other, so each is judged by the misses and the
GPU time of its own surroundings.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from planner.sim.oracle.evaluate import Evaluate, Outcome
from planner.sim.oracle.grid import Grid, Schedule
from planner.sim.oracle.moves import Move, applied, batches, candidates

_SETTLED_SECONDS = 60.0
"""After a change, until backlog and long answers have passed."""


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
        self._refused: set[Move] = set()
        self._price: float | None = None

    def look(self, schedule: Schedule) -> Found:
        """Return what *schedule* comes to."""
        self.left -= 1
        return Found(schedule=schedule, outcome=self._evaluate(schedule))

    def polished(self, found: Found, *, price: float, evaluations: int) -> Found:
        """Return *found* after each promising change of it was tried once, as *evaluations* allow.

        A miss costs *price* GPU seconds, and there may be only so many in all. What a former call
        at that price refused is not tried again as long as its surroundings stay.
        """
        if price != self._price:
            self._price = price
            self._refused.clear()
        least = self.left - evaluations
        moves = candidates(found.schedule, found.outcome.misses, self._grid.first_free)
        moves = [move for move in moves if move not in self._refused]
        for group in batches(moves, before=self._grid.lead + 1, after=self._settled):
            if self.left < least + 2:
                break
            found = self._tried(found, group, price=price)
        return found

    def _tried(self, found: Found, group: Sequence[Move], *, price: float) -> Found:
        """Return *found* with those moves of the *group* that pay."""
        tried = self.look(applied(found.schedule, group))
        effects = [self._effect(found, tried, move) for move in group]
        good = self._affordable([e for e in effects if e.gain(price) > 1e-6], found, price)
        self._refused.update(set(group) - set(good))
        if not good:
            return found
        together = self.look(applied(found.schedule, good)) if len(good) < len(group) else tried
        if not self._is_better(together.outcome, found.outcome, price):
            return found
        self._forget(good)
        return together

    def _affordable(self, effects: Iterable[_Effect], found: Found, price: float) -> list[Move]:
        """Return the moves that gain most, as long as misses are left for them."""
        left = self._allowed(found.outcome) - float(found.outcome.misses.sum())
        chosen = []
        # Those that spare misses first: others may use them.
        for effect in sorted(effects, key=lambda e: (e.misses > 0, -e.gain(price), e.move)):
            if effect.misses <= 0 or effect.misses <= left:
                left -= effect.misses
                chosen.append(effect.move)
        return sorted(chosen)

    def _allowed(self, outcome: Outcome) -> float:
        return (1 - self._attainment) * outcome.requests + 1e-9

    def _is_better(self, new: Outcome, old: Outcome, price: float) -> bool:
        late = max(self._allowed(new), float(old.misses.sum()))
        return new.objective(price) < old.objective(price) and float(new.misses.sum()) <= late

    def _effect(self, found: Found, tried: Found, move: Move) -> _Effect:
        around = slice(max(0, move.first - self._grid.lead - 1), move.end + self._settled)
        old, new = found.outcome, tried.outcome
        return _Effect(
            move=move,
            saved=float(old.gpu_seconds[around].sum() - new.gpu_seconds[around].sum()),
            misses=float(new.misses[around].sum() - old.misses[around].sum()),
        )

    def _forget(self, made: Iterable[Move]) -> None:
        """Let moves be tried again that are close to those *made*."""
        near = [(move.first - self._grid.lead, move.end + self._grid.lead) for move in made]
        self._refused = {
            move
            for move in self._refused
            if not any(move.first < end and move.end > first for first, end in near)
        }
