"""The keys that go with this process: written under one lease, back again when it is lost."""

import asyncio
import logging

from runtime.discovery.etcd_client import EtcdClient, LeaseGone
from runtime.errors import StoreUnavailable

AWAY_RETRY_SECONDS = 0.5
REVOKE_SECONDS = 1.0

log = logging.getLogger(__name__)


class LeasedKeys:
    """What should stand in etcd under the lease, and a task that sees to it.

    A write is first wanted, then made; what could not be made is made by the keeper.
    """

    def __init__(self, client: EtcdClient, *, ttl: int) -> None:
        self._client = client
        self._ttl = ttl
        self._lease: int | None = None
        self._wanted: dict[str, bytes | None] = {}  # None: to be removed
        self._pending: set[str] = set()
        self._lock = asyncio.Lock()
        self._keeper: asyncio.Task[None] | None = None

    async def start(self) -> None:
        """Take a lease and keep it alive. Raises StoreUnavailable."""
        async with self._lock:
            await self._held()
        self._keeper = asyncio.create_task(self._keep())

    async def put(self, key: str, value: bytes) -> None:
        """Write *key* under the lease. Raises StoreUnavailable; it is then written later."""
        await self._want(key, value)

    async def delete(self, key: str) -> None:
        """Remove *key*, never to be put back. Raises StoreUnavailable."""
        if key in self._wanted:
            await self._want(key, None)
        else:
            await self._client.delete(key)

    async def create(self, key: str, value: bytes) -> bool:
        """Write *key* under the lease if it is absent; returns whether. Raises StoreUnavailable."""
        async with self._lock:
            try:
                return await self._client.put_absent(key, value, lease=await self._held())
            except LeaseGone:
                self._lose()
                return await self._client.put_absent(key, value, lease=await self._held())

    async def close(self) -> None:
        """Revoke the lease: the keys vanish at once, or with its time when etcd is away."""
        if self._keeper is not None:
            self._keeper.cancel()
            await asyncio.gather(self._keeper, return_exceptions=True)
        if self._lease is None:
            return
        try:
            async with asyncio.timeout(REVOKE_SECONDS):
                await self._client.revoke(self._lease)
        except (StoreUnavailable, LeaseGone, TimeoutError):
            log.warning("lease not revoked, its keys stay until it ends seconds=%d", self._ttl)

    async def _want(self, key: str, value: bytes | None) -> None:
        self._wanted[key] = value
        self._pending.add(key)
        async with self._lock:
            await self._write_pending()

    async def _keep(self) -> None:
        while True:
            pause = self._ttl / 4 if self._client.healthy else AWAY_RETRY_SECONDS
            await asyncio.sleep(pause)
            try:
                async with self._lock:
                    await self._refresh()
            except StoreUnavailable:
                continue  # told by the client, once
            except Exception:
                log.exception("keeping the lease failed")

    async def _refresh(self) -> None:
        try:
            await self._client.keep_alive(await self._held())
        except LeaseGone:
            self._lose()
        await self._write_pending()

    async def _write_pending(self) -> None:
        while self._pending:
            key = min(self._pending)
            value = self._wanted.get(key)
            try:
                await self._write(key, value)
            except LeaseGone:
                self._lose()
                continue
            if self._wanted.get(key) is value:  # else wanted anew meanwhile, and still pending
                self._pending.discard(key)
                if value is None:
                    self._wanted.pop(key, None)

    async def _write(self, key: str, value: bytes | None) -> None:
        if value is None:
            await self._client.delete(key)
        else:
            await self._client.put(key, value, lease=await self._held())

    async def _held(self) -> int:
        if self._lease is None:
            self._lease = await self._client.grant(self._ttl)
        return self._lease

    def _lose(self) -> None:
        log.warning("lease lost, registering again keys=%d", len(self._wanted))
        self._lease = None
        self._pending.update(self._wanted)
