"""The discovery store on etcd."""

import asyncio
import math
from urllib.parse import urlsplit

from runtime.discovery.etcd_client import EtcdClient
from runtime.discovery.etcd_lease import LeasedKeys
from runtime.discovery.etcd_watch import EtcdWatch
from runtime.errors import StoreUnavailable

DEFAULT_PORT = 2379
LEASE_SECONDS = 10.0


class EtcdStore:
    """One process' connection to etcd, with one lease that goes with the process."""

    def __init__(self, client: EtcdClient, leased: LeasedKeys) -> None:
        self._client = client
        self._leased = leased
        self._watches: list[EtcdWatch] = []
        self._closed = False

    @classmethod
    async def connect(
        cls, endpoint: str, *, ttl: float = LEASE_SECONDS, timeout: float = 5.0
    ) -> "EtcdStore":
        """Return a store on ``etcd://host:port`` (or ``http://``, or bare), its lease granted.

        The lease ends *ttl* seconds (whole ones, rounded up) after the last sign of life. Raises
        StoreUnavailable after *timeout* seconds.
        """
        client = EtcdClient(_address(endpoint))
        leased = LeasedKeys(client, ttl=math.ceil(ttl))
        try:
            async with asyncio.timeout(timeout):
                await leased.start()
        except (TimeoutError, StoreUnavailable):
            await client.close()
            raise StoreUnavailable(f"etcd at {client.address} does not answer") from None
        return cls(client, leased)

    @property
    def healthy(self) -> bool:
        """Whether etcd answered when it was last asked; it is asked every quarter of the TTL."""
        return self._client.healthy and not self._closed

    async def put(self, key: str, value: bytes, *, leased: bool = False) -> None:
        """Write *key*. Raises StoreUnavailable; a leased write is then made later."""
        self._require()
        if leased:
            await self._leased.put(key, value)
        else:
            await self._client.put(key, value)

    async def create(self, key: str, value: bytes, *, leased: bool = True) -> bool:
        """Write *key* if it is absent; returns whether it was written. Raises StoreUnavailable."""
        self._require()
        if leased:
            return await self._leased.create(key, value)
        return await self._client.put_absent(key, value)

    async def get(self, key: str) -> bytes | None:
        """Return the value, or None. Raises StoreUnavailable."""
        self._require()
        return await self._client.get(key)

    async def delete(self, key: str) -> None:
        """Remove *key*. Raises StoreUnavailable; an own leased key is then removed later."""
        self._require()
        await self._leased.delete(key)

    async def watch(self, prefix: str) -> EtcdWatch:
        """Return a watch on *prefix*. Raises StoreUnavailable."""
        self._require()
        watch = EtcdWatch(self._client, prefix, listing=await self._client.list(prefix))
        self._watches = [known for known in self._watches if not known.closed] + [watch]
        return watch

    async def close(self) -> None:
        """Revoke the lease, end the watches and disconnect."""
        if self._closed:
            return
        self._closed = True
        for watch in self._watches:
            await watch.close()
        await self._leased.close()
        await self._client.close()

    def _require(self) -> None:
        if self._closed:
            raise StoreUnavailable("the discovery store is closed")


def _address(endpoint: str) -> str:
    parts = urlsplit(endpoint if "//" in endpoint else f"//{endpoint}")
    try:
        host, port = parts.hostname, parts.port or DEFAULT_PORT
    except ValueError:
        host, port = None, 0
    if not host:
        raise StoreUnavailable(f"etcd address {endpoint!r}: expected etcd://host:port")
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"
