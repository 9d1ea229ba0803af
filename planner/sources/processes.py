"""The frontends and workers of this project, read over HTTP where they registered."""

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

from planner.core.observation import Arrivals
from planner.errors import MetricsUnavailable
from planner.ports import Instance
from planner.sources import traffic
from planner.sources.arrivals import ArrivalsReader, reply
from planner.sources.exposition import parse
from planner.sources.pages import PageReader
from planner.sources.sighting import Sighting

_PREFIX = "planner_"


@dataclass(frozen=True, slots=True, kw_only=True)
class Look:
    """What was told at one look, by whoever answered."""

    frontends: Mapping[str, Sighting]
    """By what each of them is called."""
    workers: Mapping[Instance, Sighting]
    arrivals: Callable[[], Arrivals | None]
    """Returns when requests arrived since it was last called; None where one frontend does not
    tell. What is not asked for at this look, the next one gets."""


class Processes(Protocol):
    """Where their pages come from."""

    async def look(
        self, frontends: Sequence[str], workers: Collection[Instance], *, now: float
    ) -> Look:
        """Return what *workers*, and the *frontends* with these base URLs, tell *now*.

        Raises MetricsUnavailable when none of them does.
        """
        ...

    async def close(self) -> None:
        """Release connections."""
        ...


def page_of(frontend: str) -> str:
    """Return where the *frontend* with this base URL has its metrics."""
    return f"{frontend.rstrip('/')}/metrics"


class ScrapedProcesses:
    """Reads all of them in parallel; whoever is silent for *timeout* s is left out.

    *model* restricts the figures to one model where the frontends serve several.
    """

    def __init__(self, *, timeout: float = 1.5, model: str | None = None) -> None:
        self._timeout = timeout
        self._model = model
        self._reader = PageReader(timeout=timeout)
        self._arrivals = ArrivalsReader(model=model)

    async def look(
        self, frontends: Sequence[str], workers: Collection[Instance], *, now: float
    ) -> Look:
        """Return what they tell; see `Processes`."""
        pages = {base: page_of(base) for base in frontends}
        bins = [self._arrivals.url(base) for base in frontends]
        told = {one: one.metrics_url for one in workers if one.metrics_url}
        texts = await self._read({*pages.values(), *told.values()}, bins)
        replies = [reply(texts[url]) if url in texts else None for url in bins]
        return Look(
            frontends={
                base: self._sighting(texts[url], now) for base, url in pages.items() if url in texts
            },
            workers={
                one: self._sighting(texts[url], now) for one, url in told.items() if url in texts
            },
            arrivals=lambda: self._arrivals.since_last(replies),
        )

    async def close(self) -> None:
        """Close the connections."""
        await self._reader.close()

    async def _read(self, urls: Collection[str], bins: Sequence[str]) -> Mapping[str, str]:
        if not urls:
            raise MetricsUnavailable(
                "no frontend and no worker is registered", hint="planner status"
            )
        texts = await self._reader.read([*urls, *bins])
        if not texts.keys() & set(urls):
            raise MetricsUnavailable(
                f"none of {len(urls)} metrics pages answered in {self._timeout:g}s",
                hint="planner status",
            )
        return texts

    def _sighting(self, text: str, now: float) -> Sighting:
        page = parse(text, _PREFIX, histograms=traffic.HISTOGRAMS)
        return Sighting(
            page=page if self._model is None else page.only("model", self._model), at=now
        )
