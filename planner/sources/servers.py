"""Observations of inference servers that were not started here, read from their own pages."""

import logging
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass
from statistics import fmean

from planner.core.observation import Observation, Replicas, RoleLoad
from planner.core.role import Role
from planner.core.sla import Sla
from planner.errors import MetricsUnavailable
from planner.sources.engines import ENGINES
from planner.sources.engines.names import EngineKind
from planner.sources.growth import Growth, Growths
from planner.sources.readings import Gauges, counted, gauges
from planner.sources.server_arrivals import Admissions
from planner.sources.server_pages import ServerPage, ServerPages
from planner.sources.server_traffic import Interval, ServedTraffic

log = logging.getLogger(__name__)

_COUNTERS = frozenset(name for names in ENGINES.values() for name in names.counters)


@dataclass(frozen=True, slots=True, kw_only=True)
class Servers:
    """Which servers there are, and how to read them; see `ServerPages` for *engine* and *model*."""

    urls: Mapping[Role, Collection[str]]
    engine: EngineKind | None = None
    model: str | None = None
    timeout: float = 1.5
    """Seconds within which a server answers, or is silent."""
    patience: float = 15.0
    """Seconds for which a silent server still counts as one that serves."""


class ServersSource:
    """Reads *servers*, all at once. *clock* returns seconds.

    While one of them has been silent for less than its patience, nothing is known of the traffic:
    its part is missing. After that it is gone, and the others' traffic is all that there is.
    Requests are held against *sla* as far as the servers tell.
    """

    def __init__(
        self, servers: Servers, *, clock: Callable[[], float], sla: Sla | None = None
    ) -> None:
        self._roles = {url: role for role, urls in servers.urls.items() for url in urls}
        self._pages = ServerPages(
            self._roles, timeout=servers.timeout, engine=servers.engine, model=servers.model
        )
        self._clock = clock
        self._patience = servers.patience
        self._timeout = servers.timeout
        self._heard: dict[str, float] = {}
        self._latest: Mapping[str, ServerPage] | None = None
        self._growths = Growths(_COUNTERS)
        self._admissions = Admissions()
        self._traffic = ServedTraffic(sla)

    async def replicas(self) -> Mapping[Role, Replicas]:
        """Return the servers that answer, by role; raises MetricsUnavailable when none does.

        What it read serves the next `observe` too.
        """
        self._latest = await self._look()
        present = [self._roles[url] for url in self._present()]
        return {
            role: Replicas(ready=present.count(role))
            for role in Role
            if role in self._roles.values()
        }

    async def observe(self, fleet: Mapping[Role, Replicas], *, now: float) -> Observation:
        """Return what the servers say; see `planner.ports.MetricsSource`."""
        pages = self._latest if self._latest is not None else await self._look()
        self._latest = None
        held = {url: gauges(one.page, one.names) for url, one in pages.items()}
        intervals = self._intervals(pages, held, now=now)
        missing = self._present() - pages.keys()
        if missing:
            log.info("servers silent urls=%s", ",".join(sorted(missing)))
        inside = [one.inside for one in held.values() if one.inside is not None]
        return Observation(
            at=now,
            fleet=fleet,
            traffic=None if missing else self._traffic.traffic(intervals),
            load=self._load(held),
            in_flight=sum(inside) if inside else None,
        )

    async def close(self) -> None:
        """Close the connections."""
        await self._pages.close()

    async def _look(self) -> Mapping[str, ServerPage]:
        pages = await self._pages.read()
        if not pages:
            raise MetricsUnavailable(
                f"none of {len(self._roles)} servers told metrics in {self._timeout:g}s:"
                f" {', '.join(self._roles)}",
                hint="curl each one's /metrics",
            )
        self._heard |= dict.fromkeys(pages, self._clock())
        return pages

    def _present(self) -> set[str]:
        now = self._clock()
        return {url for url, at in self._heard.items() if now - at <= self._patience}

    def _intervals(
        self, pages: Mapping[str, ServerPage], held: Mapping[str, Gauges], *, now: float
    ) -> list[Interval]:
        self._growths.keep(self._present())
        self._admissions.keep(self._present())
        found, lifetimes = [], []
        for url, one in pages.items():
            growth = self._growths.grown(url, one.page, now=now)
            totals = counted(one.page, one.names)
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
            role=self._roles[url],
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
        for role in dict.fromkeys(self._roles[url] for url in held):
            members = [one for url, one in held.items() if self._roles[url] is role]
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
