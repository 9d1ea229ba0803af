"""How much of a sweep is left, and whether its time is up."""

from collections.abc import Callable, Sequence

from planner.core.profile import Parallelism
from profiler.plan.sweep_plan import PlannedEngine


class Timekeeper:
    """Counts points and their seconds against the plan's estimates."""

    def __init__(
        self,
        clock: Callable[[], float],
        engines: Sequence[PlannedEngine],
        *,
        budget_seconds: float | None,
    ) -> None:
        self._clock = clock
        self._engines = engines
        self._deadline = None if budget_seconds is None else clock() + budget_seconds
        self._point_began = 0.0
        self._seconds: list[float] = []
        self._finished: set[Parallelism] = set()

    @property
    def points(self) -> int:
        """Points that were planned."""
        return sum(engine.effort.points for engine in self._engines)

    @property
    def is_up(self) -> bool:
        """Whether nothing new is to be begun: there is no time for another point."""
        if self._deadline is None:
            return False
        usual = sum(self._seconds) / len(self._seconds) if self._seconds else 0.0
        return self._clock() + usual >= self._deadline

    def point_starts(self) -> None:
        """Take the time of a point that is about to be measured."""
        self._point_began = self._clock()

    def point_done(self) -> None:
        """Count the point that was measured."""
        self._seconds.append(self._clock() - self._point_began)

    def engine_done(self, parallelism: Parallelism) -> None:
        """Count the rest of an engine's points as done, however many they were."""
        self._finished.add(parallelism)

    def done(self, parallelism: Parallelism, points: int) -> int:
        """Return the points behind the sweep, *points* of them of the engine under way."""
        return sum(
            min(points, engine.effort.points)
            if engine.parallelism == parallelism
            else engine.effort.points
            for engine in self._engines
            if engine.parallelism == parallelism or engine.parallelism in self._finished
        )

    def seconds_left(self, parallelism: Parallelism, points: int) -> float:
        """Return an estimate: the plan's, corrected by how long points really take."""
        left = 0.0
        for engine in self._engines:
            if engine.parallelism == parallelism:
                count = max(0, engine.effort.points - points)
            elif engine.parallelism in self._finished:
                continue
            else:
                count = engine.effort.points
                left += engine.start_seconds
            left += count * self._point_seconds(engine)
        return left

    def _point_seconds(self, engine: PlannedEngine) -> float:
        if self._seconds:
            return sum(self._seconds) / len(self._seconds)
        return engine.points_seconds / engine.effort.points
