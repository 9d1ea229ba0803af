"""Fetches pages over HTTP, all at once, leaving out whoever does not answer."""

import asyncio
import logging
from collections.abc import Collection

import aiohttp

log = logging.getLogger(__name__)


class PageReader:
    """An HTTP client for small pages; one that takes over *timeout* seconds is left out."""

    def __init__(self, *, timeout: float) -> None:
        self._timeout = timeout
        self._session: aiohttp.ClientSession | None = None

    async def read(self, urls: Collection[str]) -> dict[str, str]:
        """Return the text of those *urls* that answered, by URL."""
        ordered = sorted(set(urls))
        pages = await asyncio.gather(*map(self._page, ordered))
        return {url: page for url, page in zip(ordered, pages, strict=True) if page is not None}

    async def close(self) -> None:
        """Close the connections."""
        if self._session is not None:
            await self._session.close()

    async def _page(self, url: str) -> str | None:
        try:
            async with self._client().get(url) as response:
                response.raise_for_status()
                return await response.text(errors="replace")
        except (aiohttp.ClientError, TimeoutError, OSError, ValueError) as error:
            log.debug("page unread url=%s error=%r", url, error)
            return None

    def _client(self) -> aiohttp.ClientSession:
        # Opened at the first use: aiohttp wants a running loop.
        if self._session is None:
            self._session = aiohttp.ClientSession(
                timeout=aiohttp.ClientTimeout(total=self._timeout),
                connector=aiohttp.TCPConnector(limit=0),
            )
        return self._session
