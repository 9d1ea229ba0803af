"""What is lost with an engine that dies: its requests start over elsewhere with what they have."""

from planner.sim.machine.agenda import keep_transfers, strike
from planner.sim.machine.compiled import compiled
from planner.sim.machine.prefill import pull
from planner.sim.machine.queues import pop, push, push_first
from planner.sim.machine.records import (
    COMPLETE,
    JOINED,
    LOST,
    NEVER,
    NOBODY,
    PREFILL_POOL,
    PREFILL_QUEUE,
    QUEUES,
    World,
)
from planner.sim.machine.routing import route
from planner.sim.machine.steps import count_so_far


@compiled
def lose(world: World, engine_row: int) -> None:
    """Let the engine, which takes nothing new by now, die, and retry what it had."""
    engine = world.engines[engine_row]
    if engine.place != NOBODY:
        count_so_far(world, engine)
        strike(world, engine_row)
    if engine.pool == PREFILL_POOL:
        _requeue(world, engine_row)
        return
    _save_tokens(world, engine_row)
    clock = world.clock[0]
    lost = 0
    for request in range(clock.arrived):
        record = world.requests[request]
        if record.home == engine_row and record.finish != record.finish:
            record.home = LOST
            lost += 1
    clock.retried += lost
    _forget_prefills(world)
    keep_transfers(world)
    for request in range(clock.arrived):
        if world.requests[request].home == LOST:
            route(world, request)


@compiled
def _save_tokens(world: World, engine_row: int) -> None:
    """Let the decoding requests keep the tokens that their clients have."""
    clock, engine = world.clock[0], world.engines[engine_row]
    first = engine_row * clock.seats
    for place in range(engine.batch):
        seat = world.seats[first + place]
        record = world.requests[seat.request]
        left = seat.end - engine.steps_done - engine.counted
        record.prompt = record.isl + record.osl - left
        if record.first > clock.now:  # its first step is under way
            clock.ttft_sum -= record.first - record.arrival
            clock.ttft_count -= 1
            record.first = NEVER


@compiled
def _forget_prefills(world: World) -> None:
    """Take the prompts of lost requests out of the prefill queue and the prefill engines."""
    _forget_lost(world, PREFILL_QUEUE)
    for place in range(world.clock[0].agenda):
        engine_row = world.agenda[place]
        engine = world.engines[engine_row]
        if engine.pool == PREFILL_POOL:
            tokens = _forget_lost(world, QUEUES * engine_row + COMPLETE)
            if engine.partial != NOBODY and world.requests[engine.partial].home == LOST:
                tokens += world.requests[engine.partial].prompt
                engine.partial = NOBODY
            engine.held_tokens -= tokens
            partial = engine.partial != NOBODY
            engine.in_flight = world.queues[QUEUES * engine_row + COMPLETE].length + partial


@compiled
def _forget_lost(world: World, queue: int) -> int:
    """Take lost requests out of *queue*; return the tokens of their prompts."""
    tokens = 0
    for _ in range(world.queues[queue].length):
        request = pop(world, queue)
        if world.requests[request].home == LOST:
            tokens += world.requests[request].prompt
        else:
            push(world, queue, request)
    return tokens


@compiled
def _requeue(world: World, engine_row: int) -> None:
    """Put the prompts of a prefill engine back to the head of the queue, in their order."""
    engine, own = world.engines[engine_row], QUEUES * engine_row
    if engine.partial != NOBODY:
        _put_back(world, int(engine.partial))
    while world.queues[own + COMPLETE].length:
        push_first(world, own + JOINED, pop(world, own + COMPLETE))
    while world.queues[own + JOINED].length:
        _put_back(world, pop(world, own + JOINED))
    pool = world.pools[PREFILL_POOL]
    for place in range(pool.serving):
        if not world.engines[world.serving[place]].steps:
            pull(world, world.serving[place])


@compiled
def _put_back(world: World, request: int) -> None:
    record = world.requests[request]
    record.computed = record.cached
    world.clock[0].retried += 1
    push_first(world, PREFILL_QUEUE, request)
