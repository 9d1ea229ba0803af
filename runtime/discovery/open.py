"""A store from its address, as it stands in a configuration."""

from pathlib import Path

from runtime.discovery.memory import MemoryBackend, MemoryStore
from runtime.errors import RuntimeFault
from runtime.ports import Store

_memory_backends: dict[str, MemoryBackend] = {}


async def open_store(url: str, *, ttl: float = 10.0) -> Store:
    """Return the store at *url*: ``etcd://HOST:PORT``, ``static:FILE`` or ``memory:``.

    ``memory:`` is one store per process, ``memory:NAME`` are more of them. Leased keys vanish
    *ttl* seconds after the process' last sign of life. Raises StoreUnavailable when nothing
    answers there, InvalidDeployment for a bad file, RuntimeFault for an unknown scheme.
    """
    scheme, _, place = url.partition(":")
    if scheme == "etcd":
        from runtime.discovery.etcd import EtcdStore

        return await EtcdStore.connect(url, ttl=ttl)
    if scheme == "static":
        from runtime.discovery.static import StaticStore

        return StaticStore(Path(place))
    if scheme == "memory":
        return MemoryStore(_memory_backends.setdefault(place, MemoryBackend()))
    raise RuntimeFault(f"discovery address {url!r}: expected etcd://, static: or memory:")
