"""The calls to etcd that discovery needs, on aetcd's stubs: typed, bounded in time, one error.

aetcd's own client neither reports a watch that the server ends nor bounds a call in time.
"""

import logging
import os
from collections.abc import AsyncGenerator, Mapping
from dataclasses import dataclass
from typing import Any

# gRPC reads both when it is imported: no chatter on stderr, no handlers around our subprocesses.
os.environ.setdefault("GRPC_VERBOSITY", "NONE")
os.environ.setdefault("GRPC_ENABLE_FORK_SUPPORT", "0")

from aetcd import rpc

from runtime.errors import StoreUnavailable

CALL_SECONDS = 3.0
"""The longest that a call waits for its answer, a reconnect included."""
AWAY_CALL_SECONDS = 1.0
"""The same while etcd is known to be away."""

_CHANNEL_OPTIONS = (
    ("grpc.initial_reconnect_backoff_ms", 100),
    ("grpc.min_reconnect_backoff_ms", 100),
    ("grpc.max_reconnect_backoff_ms", 1000),
    ("grpc.keepalive_time_ms", 10_000),
    ("grpc.keepalive_timeout_ms", 3_000),
)

log = logging.getLogger(__name__)
logging.getLogger("grpc").setLevel(logging.WARNING)  # below: several lines a call


class LeaseGone(Exception):
    """The lease expired or was revoked."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Listing:
    """The entries under a prefix at a revision."""

    entries: Mapping[str, bytes]
    revision: int


class EtcdClient:
    """One channel to one etcd; it reconnects by itself."""

    def __init__(self, address: str) -> None:
        self.address = address
        self._channel = rpc.insecure_channel(address, options=_CHANNEL_OPTIONS)
        self._kv = rpc.KVStub(self._channel)
        self._leases = rpc.LeaseStub(self._channel)
        self._watches = rpc.WatchStub(self._channel)
        self._answered: bool | None = None

    @property
    def healthy(self) -> bool:
        """Whether the last call was answered."""
        return self._answered is True

    async def get(self, key: str) -> bytes | None:
        """Return the value of *key*, or None. Raises StoreUnavailable."""
        reply = await self._call(self._kv.Range, rpc.RangeRequest(key=key.encode()))
        return bytes(reply.kvs[0].value) if reply.kvs else None

    async def list(self, prefix: str) -> Listing:
        """Return all entries under *prefix*. Raises StoreUnavailable."""
        start = prefix.encode()
        request = rpc.RangeRequest(key=start or b"\0", range_end=_range_end(start))
        reply = await self._call(self._kv.Range, request)
        entries = {pair.key.decode(): bytes(pair.value) for pair in reply.kvs}
        return Listing(entries=entries, revision=reply.header.revision)

    async def put(self, key: str, value: bytes, *, lease: int = 0) -> None:
        """Write *key*, under *lease* unless that is 0. Raises StoreUnavailable, LeaseGone."""
        request = rpc.PutRequest(key=key.encode(), value=value, lease=lease)
        await self._call(self._kv.Put, request)

    async def put_absent(self, key: str, value: bytes, *, lease: int = 0) -> bool:
        """Write *key* if there is none; returns whether. Raises StoreUnavailable, LeaseGone."""
        absent = rpc.Compare(
            key=key.encode(), target=rpc.Compare.VERSION, result=rpc.Compare.EQUAL, version=0
        )
        put = rpc.RequestOp(request_put=rpc.PutRequest(key=key.encode(), value=value, lease=lease))
        request = rpc.TxnRequest(compare=[absent], success=[put])
        reply = await self._call(self._kv.Txn, request)
        return bool(reply.succeeded)

    async def delete(self, key: str) -> None:
        """Remove *key* if it is there. Raises StoreUnavailable."""
        await self._call(self._kv.DeleteRange, rpc.DeleteRangeRequest(key=key.encode()))

    async def grant(self, ttl: int) -> int:
        """Return the id of a new lease of *ttl* seconds. Raises StoreUnavailable."""
        reply = await self._call(self._leases.LeaseGrant, rpc.LeaseGrantRequest(TTL=ttl))
        return int(reply.ID)

    async def keep_alive(self, lease: int) -> None:
        """Start the time of *lease* afresh. Raises StoreUnavailable, LeaseGone."""
        request = rpc.LeaseKeepAliveRequest(ID=lease)
        reply = await self._call(self._keep_alive_once, request)
        if reply is None or reply.TTL <= 0:
            raise LeaseGone

    async def revoke(self, lease: int) -> None:
        """End *lease*; its keys vanish at once. Raises StoreUnavailable, LeaseGone."""
        await self._call(self._leases.LeaseRevoke, rpc.LeaseRevokeRequest(ID=lease))

    async def follow(
        self, prefix: str, *, start_revision: int
    ) -> AsyncGenerator[Mapping[str, bytes | None], None]:
        """Yield the changes under *prefix* from *start_revision* on; None is a removed key.

        Ends when the server ends the watch, and when it cannot follow from that revision: it is
        compacted away, or lies in the future because etcd lost its data. Raises StoreUnavailable
        when the connection is lost.
        """
        start = prefix.encode()
        create = rpc.WatchCreateRequest(
            key=start or b"\0", range_end=_range_end(start), start_revision=start_revision
        )
        call = self._watches.Watch(wait_for_ready=True)
        try:
            await call.write(rpc.WatchRequest(create_request=create))
            async for response in call:
                lost = response.created and response.header.revision < start_revision - 1
                if lost or response.canceled or response.compact_revision:
                    return
                if response.events:
                    yield dict(_change(event) for event in response.events)
        except rpc.AioRpcError as error:
            raise self._unavailable(error) from None
        finally:
            call.cancel()

    async def close(self) -> None:
        """Close the channel; calls in flight fail."""
        await self._channel.close()

    async def _keep_alive_once(self, request: Any, **options: Any) -> Any:
        async for reply in self._leases.LeaseKeepAlive([request], **options):
            return reply
        return None

    async def _call(self, method: Any, request: Any) -> Any:
        limit = AWAY_CALL_SECONDS if self._answered is False else CALL_SECONDS
        try:
            reply = await method(request, timeout=limit, wait_for_ready=True)
        except rpc.AioRpcError as error:
            if error.code() is rpc.StatusCode.NOT_FOUND:
                raise LeaseGone from None
            raise self._unavailable(error) from None
        self._record(answered=True)
        return reply

    def _unavailable(self, error: Any) -> StoreUnavailable:
        self._record(answered=False)
        detail = error.details() or error.code().name
        return StoreUnavailable(f"etcd at {self.address} does not answer: {detail}")

    def _record(self, *, answered: bool) -> None:
        if self._answered is True and not answered:
            log.warning("discovery store is away, known entries are kept address=%s", self.address)
        elif self._answered is False and answered:
            log.info("discovery store answers again address=%s", self.address)
        self._answered = answered


def _change(event: Any) -> tuple[str, bytes | None]:
    removed = event.type == event.DELETE
    return event.kv.key.decode(), None if removed else bytes(event.kv.value)


def _range_end(prefix: bytes) -> bytes:
    """Return the first key after all keys that start with *prefix*; etcd's b"\\0" is the end."""
    kept = prefix.rstrip(b"\xff")
    return kept[:-1] + bytes([kept[-1] + 1]) if kept else b"\0"
