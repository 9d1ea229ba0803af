"""How long replicas took to start, as each of them measured it."""

from collections.abc import Iterable
from math import ceil

from planner.sources.exposition import Page, labels_of, name_of

NAME = "planner_worker_start_seconds"
_LAST_STAGE = "registered"
_KEPT = 50
_SHARE = 0.9


class StartUps:
    """The latest start-ups, also of replicas that are gone: who starts alone starts faster."""

    def __init__(self) -> None:
        self._seconds: dict[str, float] = {}

    def see(self, pages: Iterable[Page]) -> None:
        """Note what workers tell of their start-up; each of them counts once."""
        for page in pages:
            for series, seconds in page.samples.items():
                if name_of(series) == NAME and labels_of(series).get("stage") == _LAST_STAGE:
                    self._seconds[series] = seconds
        for oldest in list(self._seconds)[:-_KEPT]:
            del self._seconds[oldest]

    @property
    def p90_seconds(self) -> float | None:
        """Seconds that nine in ten start-ups did not exceed; None before the first was seen."""
        ordered = sorted(self._seconds.values())
        return ordered[ceil(_SHARE * len(ordered)) - 1] if ordered else None
