"""A work queue from its address, as it stands in a configuration."""

from runtime.errors import MessagingUnavailable, RuntimeFault
from runtime.ports import RequestPlane, WorkQueue
from runtime.queue.memory import MemoryQueue, MemoryQueueBackend

_memory_queues: dict[tuple[str, str], MemoryQueueBackend] = {}


async def open_queue(
    url: str, name: str, *, ack_wait: float = 10.0, plane: RequestPlane | None = None
) -> WorkQueue:
    """Return the queue *name* at *url*.

    ``nats://HOST:PORT``, or ``memory:`` (one set of queues per process; ``memory:NAME`` for more
    of them). An item that is neither acknowledged nor reported in progress for *ack_wait* seconds
    comes back. A *plane* on the same server lends its connection, and has to outlive the queue.
    Raises MessagingUnavailable when nothing answers there, RuntimeFault for an unknown scheme.
    """
    scheme, _, place = url.partition(":")
    if scheme == "nats":
        return await _open_jetstream(url, name, ack_wait=ack_wait, plane=plane)
    if scheme == "memory":
        backend = _memory_queues.setdefault((place, name), MemoryQueueBackend())
        return MemoryQueue(backend, ack_wait=ack_wait)
    raise RuntimeFault(f"work queue address {url!r}: expected nats:// or memory:")


async def _open_jetstream(
    url: str, name: str, *, ack_wait: float, plane: RequestPlane | None
) -> WorkQueue:
    from runtime.messaging.link import NatsLink
    from runtime.messaging.nats import NatsPlane
    from runtime.queue.jetstream import JetStreamQueue

    lent = plane.link if isinstance(plane, NatsPlane) and plane.link.url == url else None
    link = lent if lent is not None else await NatsLink.connect(url)
    queue = JetStreamQueue(link, name, ack_wait=ack_wait, owns_link=lent is None)
    try:
        await queue.open()
    except MessagingUnavailable:
        await queue.close()
        raise
    return queue
