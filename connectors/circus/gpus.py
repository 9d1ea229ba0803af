"""Which GPUs of this machine are free: all, less those that a watcher or a process holds."""

from collections.abc import Iterable, Sequence

from connectors.circus.client import CircusClient
from connectors.circus.processes import DEVICES, Child, visible_gpus


async def held_gpus(
    client: CircusClient, names: Iterable[str], children: Iterable[Child]
) -> set[str]:
    """Return the GPUs of the watchers *names* and of *children*, draining ones among them."""
    held = {gpu for child in children for gpu in child.gpus}
    for name in names:
        held.update(visible_gpus((await client.environment(name)).get(DEVICES)))
    return held


def take_gpus(free: list[str], count: int) -> Sequence[str] | None:
    """Take *count* out of *free* and return them, or None when there are too few."""
    if count > len(free):
        return None
    taken, free[:] = free[:count], free[count:]
    return taken
