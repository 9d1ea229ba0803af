"""The level: part average, part average of the recent peaks."""

from planner.core.forecast.horizon import Horizon
from planner.core.peaks import Peaks, highest, with_sample
from planner.core.value import value

# The average alone misses the next burst, the peaks alone pay for it all the time.
_AVERAGE_SHARE = 0.5


def gain(seconds: float, *, seen_seconds: float, time_constant: float) -> float:
    """Return how much the newest value counts in an average.

    While less than the *time_constant* was seen it is the plain mean of what was.
    """
    return seconds / max(seconds, min(seen_seconds, time_constant))


@value
class Level:
    """Where a series is, without its direction."""

    average: float = 0.0
    crest: float = 0.0
    """Average of the highest value of the last lead: how high it keeps rising."""
    peaks: Peaks = ()
    """What can still be the highest of the last lead."""

    @property
    def value(self) -> float:
        """The forecast, the same for every moment to come; what rises is above its old crest."""
        crest = max(self.crest, self.average)
        return _AVERAGE_SHARE * self.average + (1 - _AVERAGE_SHARE) * crest

    def seen(
        self, *, at: float, seconds: float, value: float, seen_seconds: float, horizon: Horizon
    ) -> "Level":
        """Return the level having seen *value* over the *seconds* that end *at*.

        *seen_seconds* counts them, too.
        """
        peaks = with_sample(self.peaks, at, value, window_seconds=horizon.peak_seconds)
        highest_now = highest(peaks) or 0.0
        fast = gain(seconds, seen_seconds=seen_seconds, time_constant=horizon.average_seconds)
        slow = gain(seconds, seen_seconds=seen_seconds, time_constant=horizon.crest_seconds)
        return Level(
            average=self.average + fast * (value - self.average),
            crest=self.crest + slow * (highest_now - self.crest),
            peaks=peaks,
        )
