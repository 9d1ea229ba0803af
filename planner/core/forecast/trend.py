"""The damped trend: Holt's double exponential smoothing, its slope trusted by half."""

from planner.core.forecast.horizon import Horizon
from planner.core.forecast.level import gain
from planner.core.value import value

# Share of the slope that is expected to go on: whole slopes overshoot at every turn.
_DAMPING = 0.5
_SLOPE_LEVELS = 3.0


@value
class Trend:
    """Where a series is and where it goes."""

    level: float = 0.0
    slope: float = 0.0
    """Change a second."""

    def ahead(self, seconds: float) -> float:
        """Return the forecast *seconds* ahead, at least 0."""
        return max(0.0, self.level + _DAMPING * self.slope * seconds)

    def seen(
        self, *, seconds: float, value: float, seen_seconds: float, horizon: Horizon
    ) -> "Trend":
        """Return the trend having seen *value* over *seconds*; *seen_seconds* counts them, too.

        The slope stays 0 until one time constant was seen: the first differences are chance.
        """
        time_constant = horizon.trend_seconds
        fast = gain(seconds, seen_seconds=seen_seconds, time_constant=time_constant)
        foreseen = self.level + self.slope * seconds
        level = foreseen + fast * (value - foreseen)
        slope = self.slope
        if seen_seconds > time_constant:
            slow = min(1.0, seconds / (_SLOPE_LEVELS * time_constant))
            slope += slow * ((level - self.level) / seconds - slope)
        return Trend(level=level, slope=slope)
