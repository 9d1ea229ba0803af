"""Pages of servers that were not started here, as a Prometheus has them."""

import logging
from collections.abc import Collection, Mapping
from dataclasses import replace

from planner.errors import MetricsUnavailable
from planner.ports import Instance
from planner.sources.engines import ENGINES
from planner.sources.engines.names import EngineKind, EngineNames
from planner.sources.exposition import Page, labels_of
from planner.sources.prometheus.pages import PrometheusPages
from planner.sources.server_pages import MODEL, ServerPage

log = logging.getLogger(__name__)


class PrometheusServers:
    """Reads servers from *pages*. A server is what its names are, unless *engine* says it.

    With *model* only the figures of that one count.
    """

    def __init__(
        self,
        pages: PrometheusPages,
        *,
        engine: EngineKind | None = None,
        model: str | None = None,
    ) -> None:
        self._pages = pages
        self._engines = [*ENGINES.values()] if engine is None else [ENGINES[engine]]
        self._model = model
        self._names = frozenset(name for one in self._engines for name in one.samples)
        self._found: set[str] = set()

    def key(self, server: Instance) -> str | None:
        """Return the value of the label that it is known by."""
        return self._pages.key(server)

    def address(self, key: str) -> str | None:
        """Return None: where its page is, the one that scrapes it knows."""

    async def read(self, keys: Collection[str]) -> Mapping[str, ServerPage]:
        """Return what those of *keys* told when they were last scraped.

        Raises MetricsUnavailable when none did, or none of the model that counts.
        """
        seen = await self._pages.read(self._names, of=keys)
        told = {
            key: ServerPage(names=names, page=one.page, at=one.at, age_seconds=one.age_seconds)
            for key, one in seen.items()
            if key in keys and (names := self._recognised(one.page)) is not None
        }
        if not told:
            raise MetricsUnavailable(
                f"{len(seen)} targets are scraped and tell nothing of"
                f" {' or '.join(one.kind for one in self._engines)}",
                hint="planner doctor names the series that are missing",
            )
        for key in told.keys() - self._found:
            kind = told[key].names.kind.value
            log.info("server found in prometheus replica=%s engine=%s", key, kind)
        self._found = {*told}
        return told if self._model is None else _of(self._model, told)

    async def close(self) -> None:
        """Close the connections."""
        await self._pages.close()

    def _recognised(self, page: Page) -> EngineNames | None:
        return next(
            (one for one in self._engines if any(s.startswith(one.prefix) for s in page.samples)),
            None,
        )


def _of(model: str, told: Mapping[str, ServerPage]) -> Mapping[str, ServerPage]:
    models = {
        labels[MODEL]
        for one in told.values()
        for series in one.page.samples
        if MODEL in (labels := labels_of(series))
    }
    if models and model not in models:
        raise MetricsUnavailable(
            f"no server tells of the model {model}", hint=f"--model {' or '.join(sorted(models))}"
        )
    return {key: replace(one, page=one.page.only(MODEL, model)) for key, one in told.items()}
