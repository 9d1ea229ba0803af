"""A request plane from its address, as it stands in a configuration."""

from runtime.errors import RuntimeFault
from runtime.messaging.memory import MemoryExchange, MemoryPlane
from runtime.ports import RequestPlane

_memory_exchanges: dict[str, MemoryExchange] = {}


async def open_plane(url: str) -> RequestPlane:
    """Return the plane at *url*.

    ``nats://HOST:PORT``, or ``memory:`` (one per process; ``memory:NAME`` for more of them).
    Raises MessagingUnavailable when nothing answers there, RuntimeFault for an unknown scheme.
    """
    scheme, _, place = url.partition(":")
    if scheme == "nats":
        from runtime.messaging.nats import NatsPlane

        return await NatsPlane.connect(url)
    if scheme == "memory":
        return MemoryPlane(_memory_exchanges.setdefault(place, MemoryExchange()))
    raise RuntimeFault(f"request plane address {url!r}: expected nats:// or memory:")
