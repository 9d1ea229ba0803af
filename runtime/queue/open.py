"""A work queue from its address, as it stands in a configuration."""

from runtime.errors import RuntimeFault
from runtime.ports import WorkQueue
from runtime.queue.memory import MemoryQueue, MemoryQueueBackend

_memory_queues: dict[tuple[str, str], MemoryQueueBackend] = {}


async def open_queue(url: str, name: str, *, ack_wait: float = 10.0) -> WorkQueue:
    """Return the queue *name* at *url*: ``memory:`` (one set of queues per process).

    An item that is neither acknowledged nor reported in progress for *ack_wait* seconds comes
    back. Raises MessagingUnavailable when nothing answers there, RuntimeFault for an unknown
    scheme.
    """
    scheme, _, place = url.partition(":")
    if scheme == "memory":
        backend = _memory_queues.setdefault((place, name), MemoryQueueBackend())
        return MemoryQueue(backend, ack_wait=ack_wait)
    raise RuntimeFault(f"work queue address {url!r}: expected nats:// or memory:")
