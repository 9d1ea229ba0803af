"""Observations read from the frontends and workers themselves, with no metrics server between."""

from collections.abc import Collection, Mapping

from planner.core.observation import Observation, Replicas
from planner.core.role import Role
from planner.errors import MetricsUnavailable
from planner.ports import Instance, InstanceState, Registry
from planner.sources import load, traffic
from planner.sources.exposition import Page
from planner.sources.growth import Growths
from planner.sources.pages import PageReader


class ScrapeSource:
    """Reads every registered process in parallel; whoever is silent for *timeout* s is left out.

    *model* restricts the figures to one model where the frontends serve several.
    """

    def __init__(
        self, registry: Registry, *, timeout: float = 1.5, model: str | None = None
    ) -> None:
        self._registry = registry
        self._timeout = timeout
        self._model = model
        self._reader = PageReader(timeout=timeout)
        self._growths = Growths(traffic.COUNTERS)
        self._in_flight: dict[str, int] = {}

    @property
    def in_flight(self) -> Mapping[str, int]:
        """Requests inside each worker by its name, as last read."""
        return dict(self._in_flight)

    async def observe(self, fleet: Mapping[Role, Replicas], *, now: float) -> Observation:
        """Return what the processes say *now*; see `planner.ports.MetricsSource`.

        Traffic is None at the first look, when no frontend answers and when one of its counters
        is missing. Raises MetricsUnavailable when nothing is registered or nothing answers.
        """
        frontends = [f"{url.rstrip('/')}/metrics" for url in await self._registry.frontends()]
        workers = {i: i.metrics_url for i in await self._registry.instances() if i.metrics_url}
        pages = await self._pages({*frontends, *workers.values()})
        told = {instance: pages[url] for instance, url in workers.items() if url in pages}
        self._in_flight = _in_flight(told)
        self._growths.keep(frontends)
        answered = {url: pages[url] for url in frontends if url in pages}
        growths = [self._growths.grown(url, page, now=now) for url, page in answered.items()]
        return Observation(
            at=now,
            fleet=fleet,
            traffic=traffic.traffic([growth for growth in growths if growth is not None]),
            load=load.loads({i: p for i, p in told.items() if i.state is InstanceState.READY}),
            in_flight=_sum(answered.values(), traffic.IN_FLIGHT),
        )

    async def close(self) -> None:
        """Close the connections."""
        await self._reader.close()

    async def _pages(self, urls: Collection[str]) -> dict[str, Page]:
        if not urls:
            raise MetricsUnavailable(
                "no frontend and no worker is registered", hint="planner status"
            )
        pages = await self._reader.read(urls)
        if not pages:
            raise MetricsUnavailable(
                f"none of {len(urls)} metrics pages answered in {self._timeout:g}s",
                hint="planner status",
            )
        if self._model is None:
            return pages
        return {url: page.only("model", self._model) for url, page in pages.items()}


def _in_flight(pages: Mapping[Instance, Page]) -> dict[str, int]:
    inside = {instance.name: page.total(load.IN_FLIGHT) for instance, page in pages.items()}
    return {name: round(count) for name, count in inside.items() if count is not None}


def _sum(pages: Collection[Page], name: str) -> int | None:
    known = [value for page in pages if (value := page.total(name)) is not None]
    return round(sum(known)) if known else None
