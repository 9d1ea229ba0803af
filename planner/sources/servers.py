"""Observations of inference servers that were not started here, out of what their pages tell."""

import logging
from collections.abc import Callable, Collection, Mapping, Sequence
from statistics import fmean

from planner.core.observation import Observation, Replicas, RoleLoad
from planner.core.role import Role
from planner.core.sla import Sla
from planner.errors import MetricsUnavailable
from planner.ports import Instance, InstanceState, Registry
from planner.sources.engines import ENGINES
from planner.sources.growth import Growth, Growths
from planner.sources.readings import Gauges, counted, gauges
from planner.sources.scraped import ScrapedPage
from planner.sources.server_arrivals import Admissions
from planner.sources.server_pages import Pages, ServerPage
from planner.sources.server_traffic import Interval, ServedTraffic, latencies

log = logging.getLogger(__name__)

_COUNTERS = frozenset(name for names in ENGINES.values() for name in names.counters)


class ListedServers:
    """A registry of servers that somebody named, by role: who that is never changes."""

    def __init__(self, urls: Mapping[Role, Collection[str]]) -> None:
        self._instances = [
            Instance(name=url, role=role, state=InstanceState.READY, metrics_url=url)
            for role, listed in urls.items()
            for url in listed
        ]

    async def instances(self) -> Sequence[Instance]:
        """Return all of them, whether they answer or not."""
        return self._instances

    async def frontends(self) -> Sequence[str]:
        """Return none: who sends requests to these servers is not known."""
        return []


class ServersSource:
    """Reads the servers in *registry*, all at once, from *pages*.

    While one of them has been silent for less than *patience* seconds, nothing is known of the
    traffic: its part is missing. After that it is gone, and the others' traffic is all that there
    is. Requests are held against *sla* as far as servers tell. *clock* returns seconds.
    """

    def __init__(
        self,
        registry: Registry,
        pages: Pages,
        *,
        clock: Callable[[], float],
        patience: float = 15.0,
        sla: Sla | None = None,
    ) -> None:
        self._registry = registry
        self._pages = pages
        self._clock = clock
        self._patience = patience
        self._servers: dict[str, Instance] = {}
        self._heard: dict[str, float] = {}
        self._latest: Mapping[str, ServerPage] | None = None
        self._silent: set[str] = set()
        self._in_flight: dict[str, int] = {}
        self._growths = Growths(_COUNTERS)
        self._admissions = Admissions()
        self._traffic = ServedTraffic(sla)

    @property
    def in_flight(self) -> Mapping[str, int]:
        """Requests inside each server by its name, as last read."""
        return dict(self._in_flight)

    @property
    def scraped(self) -> Sequence[ScrapedPage]:
        """The pages of the servers that are known, as far as they were found."""
        return [
            ScrapedPage(url=page, role=one.role, name=one.name)
            for url, one in self._servers.items()
            if (page := self._pages.address(url)) is not None
        ]

    async def replicas(self) -> Mapping[Role, Replicas]:
        """Return the servers that answer, by role; raises MetricsUnavailable when none does.

        What it read serves the next `observe` too.
        """
        self._latest = await self._look()
        present = [self._servers[url].role for url in self._present()]
        roles = {one.role for one in self._servers.values()}
        return {role: Replicas(ready=present.count(role)) for role in Role if role in roles}

    async def observe(self, fleet: Mapping[Role, Replicas], *, now: float) -> Observation:
        """Return what the servers say; see `planner.ports.MetricsSource`."""
        pages = self._latest if self._latest is not None else await self._look()
        self._latest = None
        held = {url: gauges(one.page, one.names) for url, one in pages.items()}
        inside = {url: one.inside for url, one in held.items() if one.inside is not None}
        self._in_flight = {self._servers[url].name: count for url, count in inside.items()}
        intervals = self._intervals(pages, held, now=now)
        missing = self._present() - pages.keys()
        return Observation(
            at=now,
            fleet=fleet,
            traffic=None if missing else self._traffic.traffic(intervals),
            load=self._load(held),
            in_flight=sum(inside.values()) if inside else None,
            age_seconds=max(one.age_seconds for one in pages.values()),
            latencies=(None if missing or len(intervals) < len(pages) else latencies(intervals)),
        )

    async def close(self) -> None:
        """Close the connections."""
        await self._pages.close()

    async def _look(self) -> Mapping[str, ServerPage]:
        registered = await self._registry.instances()
        found = {self._pages.key(one): one for one in registered}
        self._servers = {key: one for key, one in found.items() if key is not None}
        if not self._servers:
            raise MetricsUnavailable("no server is ready", hint="its log says why")
        pages = await self._pages.read(self._servers)
        self._heard |= dict.fromkeys(pages, self._clock())
        self._tell(self._servers.keys() - pages.keys())
        return pages

    def _tell(self, silent: set[str]) -> None:
        if silent - self._silent:
            log.warning("servers silent urls=%s", ",".join(sorted(silent)))
        self._silent = silent

    def _present(self) -> set[str]:
        now = self._clock()
        recent = {url for url, at in self._heard.items() if now - at <= self._patience}
        return recent & self._servers.keys()

    def _intervals(
        self, pages: Mapping[str, ServerPage], held: Mapping[str, Gauges], *, now: float
    ) -> list[Interval]:
        self._growths.keep(self._present())
        self._admissions.keep(self._present())
        moments = {url: now if one.at is None else one.at for url, one in pages.items()}
        if self._growths.is_behind(moments):
            return []
        found, lifetimes = [], []
        for url, one in pages.items():
            growth = self._growths.grown(url, one.page, now=moments[url])
            totals = counted(one.page, one.names)
            log.debug("server read url=%s holds=%s counted=%s", url, held[url], totals)
            if totals.prompts is not None:
                lifetimes.append(totals.prompts)
            arrived = self._arrived(
                url, growth, entered=totals.entered, entering=held[url].entering
            )
            if growth is not None:
                found.append(self._interval(url, one, growth, arrived))
        self._traffic.recall(lifetimes)
        return found

    def _interval(
        self, url: str, one: ServerPage, growth: Growth, arrived: float | None
    ) -> Interval:
        return Interval(
            role=self._servers[url].role,
            seconds=growth.seconds,
            arrived=arrived,
            counted=counted(growth.page, one.names),
            itl_is_per_request=one.names.itl_is_per_request,
        )

    def _arrived(
        self, url: str, growth: Growth | None, *, entered: float | None, entering: int | None
    ) -> float | None:
        if entered is None or entering is None:
            return None
        return self._admissions.arrived(url, growth, entered=entered, entering=entering)

    def _load(self, held: Mapping[str, Gauges]) -> dict[Role, RoleLoad]:
        found = {}
        serving = {
            url: one.role
            for url, one in self._servers.items()
            if url in held and one.state is InstanceState.READY
        }
        for role in dict.fromkeys(serving.values()):
            members = [held[url] for url, its in serving.items() if its is role]
            usage = [one.kv_usage for one in members if one.kv_usage is not None]
            found[role] = RoleLoad(
                waiting=_sum([one.waiting for one in members]),
                running=_sum([one.running for one in members]),
                kv_usage=fmean(usage) if usage else None,
            )
        return found


def _sum(figures: Collection[int | None]) -> int | None:
    known = [figure for figure in figures if figure is not None]
    return sum(known) if known else None
