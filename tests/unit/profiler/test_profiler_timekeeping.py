"""What is left of a sweep, and when its time is up."""

from planner.core.profile import Parallelism
from profiler.effort import Effort
from profiler.plan.sweep_plan import PlannedEngine
from profiler.sweep.timekeeping import Timekeeper

TP1, TP2 = Parallelism(tp=1), Parallelism(tp=2)
ENGINES = [
    PlannedEngine(parallelism=p, effort=Effort(), start_seconds=50, points_seconds=100)
    for p in (TP1, TP2)
]


class Clock:
    now = 100.0

    def __call__(self):
        return self.now


def measured(time, clock, seconds):
    time.point_starts()
    clock.now += seconds
    time.point_done()


def test_the_plan_is_the_estimate_until_points_tell_better():
    clock = Clock()
    time = Timekeeper(clock, ENGINES, budget_seconds=None)
    assert time.seconds_left(TP1, 0) == 100 + 50 + 100
    measured(time, clock, 2)
    measured(time, clock, 4)
    # 8 and 10 points of 3 s each, and one more start.
    assert time.seconds_left(TP1, 2) == 8 * 3 + 50 + 10 * 3
    time.engine_done(TP1)
    assert time.seconds_left(TP2, 10) == 0
    assert not time.is_up


def test_spare_attempts_are_not_points_done():
    time = Timekeeper(Clock(), ENGINES, budget_seconds=None)
    assert time.points == 20
    assert time.done(TP1, 12) == 10
    time.engine_done(TP1)
    assert time.done(TP2, 3) == 13


def test_a_point_that_would_not_be_done_in_time_is_not_begun():
    clock = Clock()
    time = Timekeeper(clock, ENGINES, budget_seconds=10)
    assert not time.is_up
    measured(time, clock, 6)
    assert time.is_up
