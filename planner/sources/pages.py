"""Fetches metrics pages over HTTP, all at once, leaving out whoever does not answer."""

import asyncio
import logging
from collections.abc import Collection

import aiohttp

from planner.sources.exposition import Page, parse

log = logging.getLogger(__name__)


class PageReader:
    """An HTTP client for metrics pages; a page that takes over *timeout* seconds is left out."""

    def __init__(self, *, timeout: float, prefix: str = "planner_") -> None:
        self._timeout = timeout
        self._prefix = prefix
        self._session: aiohttp.ClientSession | None = None

    async def read(self, urls: Collection[str]) -> dict[str, Page]:
        """Return the pages of those *urls* that answered, by URL."""
        ordered = sorted(set(urls))
        pages = await asyncio.gather(*map(self._page, ordered))
        return {url: page for url, page in zip(ordered, pages, strict=True) if page is not None}

    async def close(self) -> None:
        """Close the connections."""
        if self._session is not None:
            await self._session.close()

    async def _page(self, url: str) -> Page | None:
        try:
            async with self._client().get(url) as response:
                response.raise_for_status()
                return parse(await response.text(errors="replace"), self._prefix)
        except (aiohttp.ClientError, TimeoutError, OSError, ValueError) as error:
            log.debug("metrics page unread url=%s error=%r", url, error)
            return None

    def _client(self) -> aiohttp.ClientSession:
        # Opened at the first use: aiohttp wants a running loop.
        if self._session is None:
            self._session = aiohttp.ClientSession(
                timeout=aiohttp.ClientTimeout(total=self._timeout),
                connector=aiohttp.TCPConnector(limit=0),
            )
        return self._session
