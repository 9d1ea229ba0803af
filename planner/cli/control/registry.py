"""The runtime's discovery as the planner's ports see it."""

import asyncio
import logging
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace

import msgspec

from planner.core.role import Role
from planner.errors import MetricsUnavailable
from planner.ports import Instance, InstanceState, Registry
from runtime.errors import StoreUnavailable
from runtime.instance import InstanceRecord, decode_record
from runtime.ports import Store, Watch

_FRONTEND = "frontend"
_ROLES = frozenset(role.value for role in Role)

log = logging.getLogger(__name__)


class StoreRegistry:
    """Who is registered under *namespace* in *store*, kept up by a watch."""

    def __init__(self, store: Store, namespace: str) -> None:
        self._store = store
        self._prefix = f"instances/{namespace}/"
        self._watch: Watch | None = None
        self._opening = asyncio.Lock()

    async def instances(self) -> Sequence[Instance]:
        """Return every registered worker; raises MetricsUnavailable while discovery is away."""
        workers = (_instance(record) for record in await self._records())
        return [worker for worker in workers if worker is not None]

    async def frontends(self) -> Sequence[str]:
        """Return the base URLs of the frontends; raises MetricsUnavailable as `instances` does."""
        records = await self._records()
        urls = (r.metadata.get("url") for r in records if r.component == _FRONTEND)
        return sorted({url for url in urls if isinstance(url, str)})

    async def close(self) -> None:
        """Stop watching."""
        if self._watch is not None:
            await self._watch.close()

    async def _records(self) -> Sequence[InstanceRecord]:
        # What was known before the store went away may be long gone: better to know nothing.
        if not self._store.healthy:
            raise MetricsUnavailable("the discovery store does not answer", hint="planner status")
        try:
            async with self._opening:
                if self._watch is None:
                    self._watch = await self._store.watch(self._prefix)
        except StoreUnavailable as error:
            raise MetricsUnavailable(str(error), hint="planner status") from error
        return list(_decoded(self._watch.entries))


class BusyRegistry:
    """A registry that also knows what *in_flight* last read of each worker, by its name."""

    def __init__(self, registry: Registry, in_flight: Callable[[], Mapping[str, int]]) -> None:
        self._registry = registry
        self._in_flight = in_flight

    async def instances(self) -> Sequence[Instance]:
        """Return every registered worker with its requests in flight where they are known."""
        busy = self._in_flight()
        found = await self._registry.instances()
        return [replace(worker, in_flight=busy.get(worker.name)) for worker in found]

    async def frontends(self) -> Sequence[str]:
        """Return the base URLs of the frontends."""
        return await self._registry.frontends()


def _decoded(entries: Mapping[str, bytes]) -> Iterator[InstanceRecord]:
    for key, value in entries.items():
        try:
            yield decode_record(value)
        except msgspec.DecodeError as error:
            log.debug("instance record unread key=%s error=%s", key, error)


def _instance(record: InstanceRecord) -> Instance | None:
    """Return the worker that *record* is of; None for a frontend or anything else."""
    role, name = record.metadata.get("role"), record.metadata.get("name")
    if role not in _ROLES or not isinstance(name, str):
        return None
    url = record.metadata.get("metrics_url")
    return Instance(
        name=name,
        role=Role(role),
        state=InstanceState(record.state.value),
        metrics_url=url if isinstance(url, str) else None,
    )
