"""The forecasters by name, what each says, and how well it has done lately."""

from dataclasses import dataclass
from enum import StrEnum
from math import log, sqrt

from planner.core.value import value

# A forecast of 0 replicas where 0.1 were needed is as good as one of 0.1: half a replica is added
# to both before they are compared.
_NEGLIGIBLE = 0.5
# Weights fall with the square of the mean squared error; an error below this is as good as none.
_LEAST_ERROR = 1e-4


class Member(StrEnum):
    """A way to forecast; the value is what operators read. The order is that of the scores."""

    LAST = "last value"
    LEVEL = "level"
    TREND = "damped trend"
    DAILY = "daily season"
    WEEKLY = "weekly season"


MEMBERS = tuple(Member)
Values = tuple[float | None, ...]
"""One forecast for each of `MEMBERS`; None of one that knows nothing yet."""


@value
class Score:
    """How far one member's forecasts were off, fading with time."""

    error: float = 0.0
    """Sum of weight times the squared logarithm of value over forecast."""
    weight: float = 0.0

    def judged(self, *, value: float, forecast: float, weight: float, fade: float) -> "Score":
        """Return the score after *value* came where *forecast* was; *fade* is for the rest."""
        off = log((value + _NEGLIGIBLE) / (forecast + _NEGLIGIBLE))
        return Score(
            error=self.error * fade + weight * off * off, weight=self.weight * fade + weight
        )

    @property
    def mean(self) -> float | None:
        """Mean squared logarithm of the ratio; None before anything was judged."""
        return self.error / self.weight if self.weight else None


@dataclass(frozen=True, slots=True, kw_only=True)
class MemberReport:
    """One member as operators see it."""

    value: float | None
    """Its forecast; None while it knows nothing."""
    weight: float
    """Its share in the ensemble of all members, 0 to 1."""
    error: float | None
    """Root mean square of its relative errors: 0.2 is 20 % off. None before one was judged."""


def weights(scores: tuple[Score, ...]) -> tuple[float, ...]:
    """Return each member's share in an ensemble, adding up to 1; empty before one was judged.

    A member is worth the inverse square of its mean squared error; one that was not judged yet has
    no share.
    """
    means = [score.mean for score in scores]
    worth = [0.0 if mean is None else max(mean, _LEAST_ERROR) ** -2 for mean in means]
    total = sum(worth)
    return tuple([w / total for w in worth]) if total else ()


def relative_error(score: Score) -> float | None:
    """Return the root mean square of the relative errors; None before one was judged."""
    return None if score.mean is None else sqrt(score.mean)
