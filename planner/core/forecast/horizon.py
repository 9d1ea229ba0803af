"""How far forecasts look: every window is a multiple of the lead."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class Horizon:
    """The lead, and the windows that follow from it, in seconds; see `of`."""

    lead_seconds: float
    """Time until a replica asked for now would serve."""
    average_seconds: float
    """Time constant of the average, and window of a recent peak."""
    peaks_seconds: float
    """Time constant of the average of recent peaks."""
    trend_seconds: float
    """Time constant of the trend's level; its slope takes three times that."""
    memory_seconds: float
    """Time constant by which past errors fade."""

    @classmethod
    def of(cls, *, lead_seconds: float, interval_seconds: float) -> "Horizon":
        """Return the windows for a *lead_seconds* and one value every *interval_seconds*.

        What lasts shorter than the lead cannot be followed, so nothing is averaged over less; two
        intervals are the least that is an average.
        """
        unit = max(lead_seconds, 2 * interval_seconds)
        return cls(
            lead_seconds=lead_seconds,
            average_seconds=unit,
            peaks_seconds=6 * unit,
            trend_seconds=3 * unit,
            memory_seconds=75 * unit,
        )
