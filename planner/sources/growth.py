"""How much counters grew between two looks at the processes that keep them."""

from collections.abc import Collection, Mapping
from dataclasses import dataclass

from planner.sources.exposition import Page, name_of
from planner.sources.sighting import Sighting


@dataclass(frozen=True, slots=True, kw_only=True)
class Growth:
    """What one process counted during *seconds*; *page* holds the increments of its series."""

    seconds: float
    page: Page
    restarted: bool = False
    """Whether the process began again in between: then the increments are all that it counted."""


@dataclass(frozen=True, slots=True, kw_only=True)
class _Look:
    at: float
    samples: Mapping[str, float]


class Growths:
    """Remembers the last look at each target, so that the next one gives increments.

    *counters* names the samples that only ever grow within a process; others are left out.
    """

    def __init__(self, counters: Collection[str]) -> None:
        self._counters = frozenset(counters)
        self._last: dict[str, _Look] = {}

    def grown(self, target: str, page: Page, *, now: float) -> Growth | None:
        """Return what *target* counted since it was last read; None at the first look.

        A counter that fell says that its process restarted: then all of them count from zero.
        A series that was not there before counts from zero too.
        """
        counted = {s: v for s, v in page.samples.items() if name_of(s) in self._counters}
        last = self._last.get(target)
        self._last[target] = _Look(at=now, samples=counted)
        if last is None or now <= last.at:
            return None
        restarted = _restarted(last.samples, counted)
        before = {} if restarted else last.samples
        increments = {series: value - before.get(series, 0.0) for series, value in counted.items()}
        return Growth(
            seconds=now - last.at,
            page=Page(samples=increments, declared=page.declared),
            restarted=restarted,
        )

    def grown_of(
        self, seen: Mapping[str, Sighting], *, targets: Collection[str]
    ) -> dict[str, Growth]:
        """Return what those of *targets* counted that were seen and had been seen before.

        Nothing while it `is_behind`. Every target that is not among *targets* is forgotten.
        """
        self.keep(targets)
        if self.is_behind({target: one.at for target, one in seen.items()}):
            return {}
        looks = {t: self.grown(t, one.page, now=one.at) for t, one in seen.items()}
        return {target: growth for target, growth in looks.items() if growth is not None}

    def is_behind(self, moments: Mapping[str, float]) -> bool:
        """Return whether a target was read of the very moment before, as *moments* tell.

        That comes of a scraper between. What such a target counts is known later, and what the
        others count then too.
        """
        return any(t in self._last and self._last[t].at == at for t, at in moments.items())

    def keep(self, targets: Collection[str]) -> None:
        """Forget every target that is not among *targets*."""
        for gone in self._last.keys() - set(targets):
            del self._last[gone]


def _restarted(before: Mapping[str, float], after: Mapping[str, float]) -> bool:
    # A series that is gone counts as zero: a process never drops one that it has counted.
    return any(after.get(series, 0.0) < value for series, value in before.items())
