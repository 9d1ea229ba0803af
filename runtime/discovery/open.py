"""A store from its address, as it stands in a configuration."""

from runtime.discovery.memory import MemoryBackend, MemoryStore
from runtime.errors import RuntimeFault
from runtime.ports import Store

_memory_backends: dict[str, MemoryBackend] = {}


async def open_store(url: str) -> Store:
    """Return the store at *url*.

    ``etcd://HOST:PORT``, ``static:FILE``, or ``memory:`` (one per process; ``memory:NAME`` for
    more of them).
    Raises StoreUnavailable when nothing answers there, RuntimeFault for an unknown scheme.
    """
    scheme, _, place = url.partition(":")
    if scheme == "etcd":
        from runtime.discovery.etcd import EtcdStore

        return await EtcdStore.connect(url)
    if scheme == "memory":
        return MemoryStore(_memory_backends.setdefault(place, MemoryBackend()))
    raise RuntimeFault(f"discovery address {url!r}: expected etcd://, static: or memory:")
