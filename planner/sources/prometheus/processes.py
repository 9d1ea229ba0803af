"""The frontends and workers of this project, as a Prometheus has them."""

import asyncio
from collections.abc import Collection, Mapping, Sequence
from dataclasses import replace

from planner.errors import MetricsUnavailable
from planner.ports import Instance
from planner.sources import load, traffic
from planner.sources.arrivals import ArrivalsReader, reply
from planner.sources.exposition import Page, labels_of
from planner.sources.pages import PageReader
from planner.sources.processes import Look
from planner.sources.prometheus.pages import PrometheusPages, host_and_port
from planner.sources.sighting import Sighting
from planner.sources.start_ups import NAME as START_UP

NAMES = frozenset({*traffic.NAMES, *traffic.BUCKETS, *load.NAMES, START_UP})
"""Every sample of a frontend or worker that is of use."""
_MODEL = "model"


class PrometheusProcesses:
    """Reads them from *pages*; *model* restricts the figures to one model.

    How many requests arrived, a Prometheus knows, but not when within seconds. Where it has as
    many frontends as are named, these are asked for that, *timeout* s at most.
    """

    def __init__(
        self, pages: PrometheusPages, *, timeout: float = 1.5, model: str | None = None
    ) -> None:
        self._pages = pages
        self._model = model
        self._reader = PageReader(timeout=timeout)
        self._arrivals = ArrivalsReader(model=model)

    async def look(
        self, frontends: Sequence[str], workers: Collection[Instance], *, now: float
    ) -> Look:
        """Return what they told when they were last scraped; see `Processes`.

        Where replicas are known by name, frontends are all targets in scope that tell what
        frontends do: *frontends* are addresses. *now* is not used: pages are as old as they are.
        """
        del now
        named = {one: name for one in workers if (name := self._pages.key(one)) is not None}
        gates = {host_and_port(base): base for base in frontends}
        asked = {*named.values(), *gates} if self._pages.knows_by_address else None
        bins = [self._arrivals.url(base) for base in frontends]
        seen, texts = await asyncio.gather(
            self._pages.read(NAMES, of=asked), self._reader.read(bins)
        )
        if self._model is not None:
            seen = _of(self._model, seen)
        if self._pages.knows_by_address:
            entry = {base: _gate(seen[one]) for one, base in gates.items() if one in seen}
        else:
            entry = {name: one for name, one in seen.items() if _is_gate(one.page)}
        told = {one: seen[name] for one, name in named.items() if name in seen}
        replies = [reply(texts[url]) if url in texts else None for url in bins]
        are_all = len(entry) == len(frontends)
        return Look(
            frontends=entry,
            workers=told,
            arrivals=lambda: self._arrivals.since_last(replies) if are_all else None,
        )

    async def close(self) -> None:
        """Close the connections."""
        await asyncio.gather(self._pages.close(), self._reader.close())


def _is_gate(page: Page) -> bool:
    return any(series.startswith(traffic.PREFIX) for series in page.samples)


def _gate(seen: Sighting) -> Sighting:
    """Return *seen*, of a frontend, as one that has counted nothing where it tells nothing.

    A frontend has the series of a model from its first request on, and then all of them.
    """
    if _is_gate(seen.page):
        return seen
    return replace(seen, page=Page(samples=seen.page.samples, declared=traffic.NAMES))


def _of(model: str, seen: Mapping[str, Sighting]) -> Mapping[str, Sighting]:
    models = {
        labels[_MODEL]
        for one in seen.values()
        for series in one.page.samples
        if (labels := labels_of(series)).get(_MODEL)
    }
    if models and model not in models:
        raise MetricsUnavailable(
            f"nothing tells of the model {model}", hint=f"--model {' or '.join(sorted(models))}"
        )
    return {name: replace(one, page=one.page.only(_MODEL, model)) for name, one in seen.items()}
