"""Reads the metrics pages of servers that were not started here, and finds out what they are."""

import logging
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import Protocol
from urllib.parse import urlsplit

from planner.errors import MetricsUnavailable
from planner.ports import Instance
from planner.sources.engines import ENGINES, recognised
from planner.sources.engines.names import EngineKind, EngineNames
from planner.sources.exposition import Page, parse
from planner.sources.pages import PageReader

log = logging.getLogger(__name__)

MODEL = "model_name"
"""The label that says which model a figure is of."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ServerPage:
    """What one server told, and the names by which to read it."""

    names: EngineNames
    page: Page
    at: float | None = None
    """When it was true, on the clock of who scraped it; None for the moment that it was read."""
    age_seconds: float = 0.0


class Pages(Protocol):
    """Where the pages of servers come from."""

    def key(self, server: Instance) -> str | None:
        """Return how *server* is called there; None where it cannot be read."""
        ...

    def address(self, key: str) -> str | None:
        """Return the page of the server that is called *key*; None where that is not known."""
        ...

    async def read(self, keys: Collection[str]) -> Mapping[str, ServerPage]:
        """Return what those of *keys* tell that do. Raises MetricsUnavailable when none does."""
        ...

    async def close(self) -> None:
        """Release connections."""
        ...


class ServerPages:
    """Reads servers, leaving out whoever does not answer within *timeout* seconds.

    A server is what its page looks like, unless *engine* says what all of them are. With *model*
    only the figures of that one count.
    """

    def __init__(
        self, *, timeout: float, engine: EngineKind | None = None, model: str | None = None
    ) -> None:
        self._timeout = timeout
        self._reader = PageReader(timeout=timeout)
        self._engine = None if engine is None else ENGINES[engine]
        self._model = model
        self._addresses: dict[str, str] = {}

    def key(self, server: Instance) -> str | None:
        """Return where *server* registered its metrics."""
        return server.metrics_url or None

    async def read(self, keys: Collection[str]) -> Mapping[str, ServerPage]:
        """Return the pages of those of *keys* that answered.

        Each is the base URL of a server or, with a path, that of the page itself. Raises
        MetricsUnavailable when none answered.
        """
        urls, found = keys, dict[str, ServerPage]()
        for path in self._paths(urls):
            asked = {u: self._address(u, path) for u in urls if u not in found}
            texts = await self._reader.read(asked.values())
            for url, address in asked.items():
                if address in texts and (page := self._page(url, texts[address])) is not None:
                    found[url] = page
                    self._addresses[url] = address
        self._forget(found)
        if not found:
            raise MetricsUnavailable(
                f"none of {len(urls)} servers told metrics in {self._timeout:g}s:"
                f" {', '.join(urls)}",
                hint="curl each one's /metrics",
            )
        return found

    def address(self, key: str) -> str | None:
        """Return the page of the server at the URL *key*; None until it is found."""
        return key if self._is_page(key) else self._addresses.get(key)

    async def close(self) -> None:
        """Close the connections."""
        await self._reader.close()

    def _paths(self, urls: Collection[str]) -> list[str]:
        """Return where a page may be; once each server's is known, it is read there alone.

        TensorRT-LLM's first: what it has at the others' path is another page, that tells each
        figure only once, to whoever asks first.
        """
        if self._engine is not None:
            return [self._engine.path]
        if all(url in self._addresses for url in urls):
            return [""]
        return sorted({names.path for names in ENGINES.values()}, key=len, reverse=True)

    def _address(self, url: str, path: str) -> str:
        if self._is_page(url):
            return url
        return self._addresses.get(url, f"{url.rstrip('/')}{path}")

    @staticmethod
    def _is_page(url: str) -> bool:
        return bool(urlsplit(url).path.rstrip("/"))

    def _page(self, url: str, text: str) -> ServerPage | None:
        names = self._engine or recognised(text)
        if names is None:
            log.debug("page is of no known server url=%s", url)
            return None
        if url not in self._addresses:
            log.info("server found url=%s engine=%s", url, names.kind.value)
        page = parse(text, names.prefix, histograms=names.histograms)
        if self._model is not None:
            page = page.only(MODEL, self._model)
        return ServerPage(names=names, page=page)

    def _forget(self, found: Collection[str]) -> None:
        # Another server may listen there when it comes back.
        for url in self._addresses.keys() - set(found):
            del self._addresses[url]
