"""How far forecasts look: windows are multiples of the lead, up to a quarter of an hour."""

from dataclasses import dataclass

# Bursts last minutes whatever the lead is.
_SHORTEST_CREST_SECONDS = 300.0
_LONGEST_UNIT_SECONDS = 300.0
_LONGEST_CREST_SECONDS = 900.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Horizon:
    """The lead, and the windows that follow from it, in seconds; see `of`."""

    lead_seconds: float
    """Time until a replica asked for now would serve."""
    average_seconds: float
    """Time constant of the average."""
    peak_seconds: float
    """Window of a recent peak."""
    crest_seconds: float
    """Time constant of the average of recent peaks."""
    trend_seconds: float
    """Time constant of the trend's level; its slope takes three times that."""
    memory_seconds: float
    """Time constant by which past errors fade."""

    @classmethod
    def of(cls, *, lead_seconds: float, interval_seconds: float) -> "Horizon":
        """Return the windows for a *lead_seconds* and one value every *interval_seconds*.

        What lasts shorter than the lead cannot be followed, so it is provided for by the peaks of
        whole leads; two intervals are the least that is an average, and more would only lag where
        replicas start quickly.
        """
        least = 2 * interval_seconds
        unit = max(least, min(lead_seconds, _LONGEST_UNIT_SECONDS))
        crest = max(6 * unit, min(60 * interval_seconds, _SHORTEST_CREST_SECONDS))
        return cls(
            lead_seconds=lead_seconds,
            average_seconds=max(least, unit / 4),
            peak_seconds=unit,
            crest_seconds=max(unit, min(crest, _LONGEST_CREST_SECONDS)),
            trend_seconds=3 * unit,
            memory_seconds=75 * unit,
        )
