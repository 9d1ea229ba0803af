"""A watch on etcd that outlives disconnects, compaction, and an etcd that lost its data."""

import asyncio
import logging
from collections.abc import AsyncIterator, Mapping
from contextlib import aclosing

from runtime.discovery.entries import LiveEntries
from runtime.discovery.etcd_client import EtcdClient, Listing
from runtime.errors import StoreUnavailable

RELIST_SECONDS = 30.0
"""The longest that an event which etcd did not send stays unnoticed."""
RETRY_SECONDS = 0.2

log = logging.getLogger(__name__)


class EtcdWatch:
    """Lists, follows from the revision after the list, and starts over whenever following ends.

    Listing again is right after a compaction and after a restart on empty data too, where the
    last seen revision would be refused or, worse, lie in the future; no change can fall between
    a list and the follow behind it.
    """

    def __init__(self, client: EtcdClient, prefix: str, *, listing: Listing) -> None:
        self._client = client
        self._prefix = prefix
        self._live = LiveEntries(listing.entries)
        self._task = asyncio.create_task(self._keep_up(listing.revision))

    @property
    def entries(self) -> Mapping[str, bytes]:
        """The keys and values as last known; kept while etcd is away."""
        return self._live.entries

    @property
    def closed(self) -> bool:
        """Whether it has been told to stop."""
        return self._task.done()

    def changes(self) -> AsyncIterator[Mapping[str, bytes]]:
        """Yield the entries at once and after every change."""
        return self._live.changes()

    async def close(self) -> None:
        """Stop watching."""
        self._task.cancel()
        await asyncio.gather(self._task, return_exceptions=True)
        self._live.finish()

    async def _keep_up(self, revision: int) -> None:
        while True:
            try:
                await self._follow(revision)
            except StoreUnavailable:
                await asyncio.sleep(RETRY_SECONDS)
            except Exception:
                log.exception("watch failed, listing again prefix=%s", self._prefix)
                await asyncio.sleep(RETRY_SECONDS)
            revision = await self._relist()

    async def _follow(self, revision: int) -> None:
        """Apply changes after *revision*, until the guard or the server ends it."""
        try:
            async with (
                asyncio.timeout(RELIST_SECONDS),
                aclosing(self._client.follow(self._prefix, start_revision=revision + 1)) as batches,
            ):
                async for changes in batches:
                    self._live.update(changes)
        except TimeoutError:
            return
        await asyncio.sleep(RETRY_SECONDS)

    async def _relist(self) -> int:
        """Take over what is there and return its revision, however long it takes."""
        while True:
            try:
                listing = await self._client.list(self._prefix)
            except StoreUnavailable:
                await asyncio.sleep(RETRY_SECONDS)
            else:
                self._live.replace(listing.entries)
                return listing.revision
