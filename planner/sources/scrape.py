"""Observations read from the frontends and workers themselves, with no metrics server between."""

from collections.abc import Collection, Mapping, Sequence

from planner.core.observation import Observation, Replicas
from planner.core.role import Role
from planner.errors import MetricsUnavailable
from planner.ports import Instance, InstanceState, Registry
from planner.sources import load, traffic
from planner.sources.arrivals import ArrivalsReader, Reply, reply
from planner.sources.exposition import Page, parse
from planner.sources.growth import Growths
from planner.sources.pages import PageReader
from planner.sources.scraped import ScrapedPage
from planner.sources.start_ups import StartUps

_PREFIX = "planner_"


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
        self._counted = Growths(traffic.COUNTERS)
        self._computed = Growths(load.COUNTERS)
        self._arrivals = ArrivalsReader(model=model)
        self._in_flight: dict[str, int] = {}
        self._start_ups = StartUps()
        self._scraped: Sequence[ScrapedPage] = []

    @property
    def in_flight(self) -> Mapping[str, int]:
        """Requests inside each worker by its name, as last read."""
        return dict(self._in_flight)

    @property
    def scraped(self) -> Sequence[ScrapedPage]:
        """The pages asked for at the last look, whether they answered or not."""
        return self._scraped

    @property
    def cold_start_seconds(self) -> float | None:
        """What nine in ten start-ups did not exceed; None before one was seen."""
        return self._start_ups.p90_seconds

    async def observe(self, fleet: Mapping[Role, Replicas], *, now: float) -> Observation:
        """Return what the processes say *now*; see `planner.ports.MetricsSource`.

        Traffic is None at the first look, when no frontend answers and when one of its counters
        is missing; its arrivals also when one frontend does not tell them. Raises
        MetricsUnavailable when nothing is registered or nothing answers.
        """
        bases = await self._registry.frontends()
        frontends = [f"{base.rstrip('/')}/metrics" for base in bases]
        bins = [self._arrivals.url(base) for base in bases]
        workers = {i: i.metrics_url for i in await self._registry.instances() if i.metrics_url}
        self._scraped = [
            *(ScrapedPage(url=url) for url in frontends),
            *(ScrapedPage(url=url, role=i.role, name=i.name) for i, url in workers.items()),
        ]
        pages, replies = await self._read({*frontends, *workers.values()}, bins)
        told = {instance: pages[url] for instance, url in workers.items() if url in pages}
        self._in_flight = _in_flight(told)
        self._start_ups.see(told.values())
        answered = {url: pages[url] for url in frontends if url in pages}
        computed = self._computed.grown_of(pages, targets=set(workers.values()), now=now)
        counted = self._counted.grown_of(answered, targets=frontends, now=now)
        return Observation(
            at=now,
            fleet=fleet,
            traffic=traffic.traffic(
                list(counted.values()), arrivals=self._arrivals.since_last(replies)
            ),
            load=load.loads(
                {i: page for i, page in told.items() if i.state is InstanceState.READY},
                grown={i: computed[url].page for i, url in workers.items() if url in computed},
            ),
            in_flight=_sum(answered.values(), traffic.IN_FLIGHT),
        )

    async def close(self) -> None:
        """Close the connections."""
        await self._reader.close()

    async def _read(
        self, urls: Collection[str], bins: Sequence[str]
    ) -> tuple[dict[str, Page], list[Reply | None]]:
        """Return the metrics pages of *urls* that answered, and the reply from each of *bins*."""
        if not urls:
            raise MetricsUnavailable(
                "no frontend and no worker is registered", hint="planner status"
            )
        texts = await self._reader.read([*urls, *bins])
        pages = {url: self._page(texts[url]) for url in urls if url in texts}
        if not pages:
            raise MetricsUnavailable(
                f"none of {len(urls)} metrics pages answered in {self._timeout:g}s",
                hint="planner status",
            )
        return pages, [reply(texts[url]) if url in texts else None for url in bins]

    def _page(self, text: str) -> Page:
        page = parse(text, _PREFIX)
        return page if self._model is None else page.only("model", self._model)


def _in_flight(pages: Mapping[Instance, Page]) -> dict[str, int]:
    inside = {instance.name: page.total(load.IN_FLIGHT) for instance, page in pages.items()}
    return {name: round(count) for name, count in inside.items() if count is not None}


def _sum(pages: Collection[Page], name: str) -> int | None:
    known = [value for page in pages if (value := page.total(name)) is not None]
    return round(sum(known)) if known else None
