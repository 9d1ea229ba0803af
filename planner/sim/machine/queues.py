"""Lines of requests: a request is in one at most, so that it can hold the link itself."""

from planner.sim.machine.compiled import compiled
from planner.sim.machine.records import NOBODY, World


@compiled
def push(world: World, queue: int, request: int) -> None:
    """Let *request* be the last of *queue*."""
    line = world.queues[queue]
    world.requests[request].following = NOBODY
    if line.length:
        world.requests[line.tail].following = request
    else:
        line.head = request
    line.tail = request
    line.length += 1


@compiled
def push_first(world: World, queue: int, request: int) -> None:
    """Let *request* be the first of *queue*."""
    line = world.queues[queue]
    world.requests[request].following = line.head if line.length else NOBODY
    if not line.length:
        line.tail = request
    line.head = request
    line.length += 1


@compiled
def pop(world: World, queue: int) -> int:
    """Return the first of *queue* and take it out; it is not empty."""
    line = world.queues[queue]
    request = int(line.head)
    line.head = world.requests[request].following
    line.length -= 1
    return request
