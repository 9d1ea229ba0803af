"""How much measuring a sweep may do: points, repeats and times."""

from dataclasses import dataclass

from planner.errors import ConfigError

LEAST_PREFILL, LEAST_DECODE = 3, 4
"""Points below which a parallelism is not worth starting an engine for."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Effort:
    """Points of one parallelism and how often each is repeated; raises ConfigError when too few.

    A point is repeated until the 95 % interval of its mean is within *confidence* of it on either
    side, *least_repeats* to *most_repeats* times, after *first_passes* that do not count.
    """

    prefill_points: int = 4
    decode_points: int = 6
    first_passes: int = 1
    least_repeats: int = 3
    most_repeats: int = 8
    confidence: float = 0.03
    repeat_seconds: float = 0.5
    """Estimate of what a repeat takes beside what it measures."""
    start_seconds: float = 1800.0
    """After which an engine counts as one that does not start."""
    point_seconds: float = 600.0
    """After which a point counts as hanging."""
    stop_seconds: float = 120.0
    """After which an engine counts as one that does not stop."""

    def __post_init__(self) -> None:
        """Raise ConfigError for too few points or repeats."""
        if self.prefill_points < LEAST_PREFILL or self.decode_points < LEAST_DECODE:
            raise ConfigError(
                f"{self.prefill_points} prefill and {self.decode_points} decode points: "
                f"a fit needs {LEAST_PREFILL} and {LEAST_DECODE} at least",
                hint=f"--max-points {LEAST_PREFILL + LEAST_DECODE} or more",
            )
        if not 2 <= self.least_repeats <= self.most_repeats:
            raise ConfigError(
                f"{self.least_repeats} to {self.most_repeats} repeats: an interval needs 2",
                hint="3 to 8 are usual",
            )

    @property
    def points(self) -> int:
        """Points of one parallelism."""
        return self.prefill_points + self.decode_points
