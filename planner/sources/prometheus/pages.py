"""The pages of a deployment's processes as a Prometheus last scraped them."""

import asyncio
import logging
from collections.abc import Collection, Mapping, Sequence
from itertools import pairwise
from urllib.parse import urlsplit

from planner.core.units import format_duration
from planner.errors import MetricsUnavailable
from planner.ports import Instance
from planner.sources.prometheus.api import PrometheusApi
from planner.sources.prometheus.promql import Scope, present, samples
from planner.sources.prometheus.targets import Target, still, targets
from planner.sources.sighting import Sighting

log = logging.getLogger(__name__)

_INSTANCE = "instance"
_PORTS = {"http": 80, "https": 443}
_FIRST_LOOKS_BACK = 4
_LONG_AGO_SECONDS = 300.0


class PrometheusPages:
    """Reads what *api* has of the targets in *scope*, as far as it is younger than *max_age* s.

    Ages are taken on the clock of Prometheus, which dates the samples too: what clock is on this
    machine makes no difference. Scrapes further apart than *interval*, the time between two looks,
    are told once in the log.
    """

    def __init__(
        self, api: PrometheusApi, scope: Scope, *, max_age: float, interval: float
    ) -> None:
        self._api = api
        self._scope = scope
        self._max_age = max_age
        self._interval = interval
        self._seen: Collection[str] | None = None
        self._is_told = False

    @property
    def knows_by_address(self) -> bool:
        """Whether targets are known by host and port; else by the names of replicas."""
        return self._scope.replica == _INSTANCE

    def key(self, instance: Instance) -> str | None:
        """Return how *instance* is called here; None where that is not known."""
        if not self.knows_by_address:
            return instance.name
        return None if instance.metrics_url is None else host_and_port(instance.metrics_url)

    async def read(
        self, names: Collection[str], *, of: Collection[str] | None
    ) -> Mapping[str, Sighting]:
        """Return the latest pages, with *names* alone, of those of *of* that answer scrapes.

        Without *of*, of all targets in scope. At the first look each is shown as it was one scrape
        before its latest, so that the second look finds something to compare with however soon it
        comes. Raises MetricsUnavailable where there is none, and as `PrometheusApi` does.
        """
        looks_back = _FIRST_LOOKS_BACK if self._seen is None else 1
        asked = samples(self._scope, names, of=of, seconds=looks_back * self._max_age)
        (there, now), series = await asyncio.gather(
            self._api.instant(present(self._scope, of=of)), self._api.samples(asked)
        )
        fresh = self._chosen(still(targets(series), there), now)
        if not fresh:
            raise await self._nothing(of)
        self._tell(fresh.values())
        seen = self._seen or ()
        shown = {name: one.scrapes[-1 if name in seen else -2 :][0] for name, one in fresh.items()}
        self._seen = fresh.keys()
        return {
            name: Sighting(page=fresh[name].page(at), at=at, age_seconds=max(0.0, now - at))
            for name, at in shown.items()
        }

    async def close(self) -> None:
        """Close the connections."""
        await self._api.close()

    def _chosen(self, found: Sequence[Target], now: float) -> Mapping[str, Target]:
        """Return those that are up and fresh, by replica; of several for one, who tells of it."""
        chosen: dict[str, Target] = {}
        for one in found:
            name = one.labels.get(self._scope.replica, one.labels.get(_INSTANCE))
            is_fresh = one.is_up and now - one.scrapes[-1] <= self._max_age
            if name is not None and is_fresh and (name not in chosen or not chosen[name].series):
                chosen[name] = one
        return chosen

    def _tell(self, found: Collection[Target]) -> None:
        gaps = [b - a for one in found for a, b in pairwise(one.scrapes)]
        if gaps and not self._is_told and min(gaps) > 1.1 * self._interval:
            self._is_told = True
            log.warning(
                "scrapes are further apart than decisions scrapes=%s decisions=%s hint=--interval",
                format_duration(round(min(gaps))),
                format_duration(self._interval),
            )

    async def _nothing(self, of: Collection[str] | None) -> MetricsUnavailable:
        """Return why no page of *of* was found."""
        asked = samples(self._scope, (), of=of, seconds=_LONG_AGO_SECONDS)
        (there, now), series = await asyncio.gather(
            self._api.instant(present(self._scope, of=of)), self._api.samples(asked)
        )
        found, url = still(targets(series), there), self._api.url
        if not found:
            return MetricsUnavailable(
                f"{url} scrapes nothing with {self._scope.told(of)}",
                hint="--prometheus-labels and --prometheus-replica say which targets count",
            )
        if not any(one.is_up for one in found):
            return MetricsUnavailable(
                f"{url} reaches none of {len(found)} targets with {self._scope.told(of)}",
                hint=f"look at {url}/targets",
            )
        age = now - max(one.scrapes[-1] for one in found if one.is_up)
        return MetricsUnavailable(
            f"the latest scrape in {url} is {format_duration(round(age, 1))} old, the limit is "
            f"{format_duration(self._max_age)}",
            hint="--interval of two scrapes or more, or --max-age",
        )


def host_and_port(url: str) -> str:
    """Return what a scraper calls the server at *url*."""
    parts = urlsplit(url)
    netloc = parts.netloc.rpartition("@")[2]
    return netloc if parts.port is not None else f"{netloc}:{_PORTS.get(parts.scheme, 80)}"
