"""A page and when it was true, which is not when it was asked for where somebody scrapes it."""

from collections.abc import Iterable
from dataclasses import dataclass

from planner.sources.exposition import Page


@dataclass(frozen=True, slots=True, kw_only=True)
class Sighting:
    """What a process told at the moment *at*, *age_seconds* ago.

    Moments of one source are on one clock, whichever that is: only their differences count.
    """

    page: Page
    at: float
    age_seconds: float = 0.0


def oldest_seconds(seen: Iterable[Sighting]) -> float:
    """Return the age of the oldest of them; 0 without any."""
    return max((one.age_seconds for one in seen), default=0.0)
