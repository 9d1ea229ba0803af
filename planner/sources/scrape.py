"""Observations of this project's own frontends and workers, out of their counters and gauges."""

from collections.abc import Collection, Iterable, Mapping, Sequence

from planner.core.observation import Observation, Replicas
from planner.core.role import Role
from planner.ports import Instance, InstanceState, Registry
from planner.sources import load, traffic
from planner.sources.exposition import Page
from planner.sources.growth import Growth, Growths
from planner.sources.processes import Look, Processes, page_of
from planner.sources.scraped import ScrapedPage
from planner.sources.sighting import oldest_seconds
from planner.sources.start_ups import StartUps


class ScrapeSource:
    """What the *processes* in *registry* tell, added up."""

    def __init__(self, registry: Registry, processes: Processes) -> None:
        self._registry = registry
        self._processes = processes
        self._counted = Growths(traffic.COUNTERS | traffic.BUCKETS)
        self._computed = Growths(load.COUNTERS)
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

        Traffic is None at the first look, when no frontend answers, when one of its counters is
        missing, and until each has told something newer than at the look before; its arrivals
        and the latencies also when one frontend does not tell them. Raises MetricsUnavailable
        when nothing is registered or nothing answers.
        """
        bases, workers = await self._registry.frontends(), await self._registry.instances()
        self._scraped = [
            *(ScrapedPage(url=page_of(base)) for base in bases),
            *(
                ScrapedPage(url=i.metrics_url, role=i.role, name=i.name)
                for i in workers
                if i.metrics_url
            ),
        ]
        look = await self._processes.look(bases, workers, now=now)
        self._in_flight = _in_flight({one: seen.page for one, seen in look.workers.items()})
        self._start_ups.see(seen.page for seen in look.workers.values())
        counted = self._since(look, bases)
        told = list((counted or {}).values())
        are_all = len(told) == max(len(bases), len(look.frontends))
        return Observation(
            at=now,
            fleet=fleet,
            traffic=(None if counted is None else traffic.traffic(told, arrivals=look.arrivals())),
            load=load.loads(
                {i: s.page for i, s in look.workers.items() if i.state is InstanceState.READY},
                grown=self._grown(look, workers),
            ),
            in_flight=_sum((seen.page for seen in look.frontends.values()), traffic.IN_FLIGHT),
            age_seconds=oldest_seconds([*look.frontends.values(), *look.workers.values()]),
            latencies=traffic.latencies(told) if are_all else None,
        )

    async def close(self) -> None:
        """Close the connections."""
        await self._processes.close()

    def _since(self, look: Look, bases: Collection[str]) -> Mapping[str, Growth] | None:
        """Return what each frontend counted since the last look; None while one is behind."""
        targets = {*bases, *look.frontends}
        if self._counted.is_behind({base: seen.at for base, seen in look.frontends.items()}):
            return None
        return self._counted.grown_of(look.frontends, targets=targets)

    def _grown(self, look: Look, workers: Collection[Instance]) -> Mapping[Instance, Page]:
        seen = {_address(one): sighting for one, sighting in look.workers.items()}
        computed = self._computed.grown_of(seen, targets={_address(one) for one in workers})
        return {
            one: computed[_address(one)].page for one in look.workers if _address(one) in computed
        }


def _address(worker: Instance) -> str:
    return worker.metrics_url or worker.name


def _in_flight(pages: Mapping[Instance, Page]) -> dict[str, int]:
    inside = {instance.name: page.total(load.IN_FLIGHT) for instance, page in pages.items()}
    return {name: round(count) for name, count in inside.items() if count is not None}


def _sum(pages: Iterable[Page], name: str) -> int | None:
    known = [value for page in pages if (value := page.total(name)) is not None]
    return round(sum(known)) if known else None
