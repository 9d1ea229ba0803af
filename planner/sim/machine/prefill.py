"""Prefill engines: they take prompts from a queue that all of them share, as they fit into a step.

A prompt that does not fit into the rest of a step is begun in it and goes on in the next.
"""

from planner.sim.machine.agenda import schedule, send
from planner.sim.machine.compiled import compiled
from planner.sim.machine.queues import pop, push
from planner.sim.machine.records import (
    COMPLETE,
    NOBODY,
    PREFILL_POOL,
    PREFILL_QUEUE,
    QUEUES,
    Engine,
    World,
)
from planner.sim.machine.steps import count


@compiled
def send_to_prefill(world: World, request: int) -> None:
    """Queue the prompt of *request*, and let the first idle prefill engine take it."""
    push(world, PREFILL_QUEUE, request)
    pool = world.pools[PREFILL_POOL]
    if not pool.idle:
        return
    for place in range(pool.serving):
        engine_row = world.serving[place]
        if not world.engines[engine_row].steps:
            pull(world, engine_row)
            return


@compiled
def pull(world: World, engine_row: int) -> None:
    """Let an idle prefill engine begin a step, if something is queued."""
    if world.queues[PREFILL_QUEUE].length:
        world.pools[PREFILL_POOL].idle -= 1
        _next_prefill_step(world, engine_row)


@compiled
def clear_chunks(engine: Engine) -> None:
    """Begin to fill a new step with prompts."""
    engine.chunks = 0
    engine.chunk_seconds = 0.0
    engine.chunk_tokens = 0
    engine.chunk_tokens_squared = 0


@compiled
def add_chunk(world: World, engine_row: int, request: int, budget: int) -> int:
    """Compute up to *budget* tokens of the prompt in the next step; return how many.

    A prompt that needs more stays as the engine's partial one.
    """
    engine, record = world.engines[engine_row], world.requests[request]
    start = int(record.computed)
    end = min(int(record.prompt), start + budget)
    record.computed = end
    per_token = engine.prefill_token + engine.prefill_token_squared * (end + start)
    engine.chunk_seconds += (end - start) * per_token
    engine.chunks += 1
    engine.chunk_tokens += end - start
    engine.chunk_tokens_squared += end * end - start * start
    if end == record.prompt:
        push(world, QUEUES * engine_row + COMPLETE, request)
    else:
        engine.partial = request
    return end - start


@compiled
def _next_prefill_step(world: World, engine_row: int) -> None:
    """Fill a step from the prompt that was begun and from the queue."""
    engine = world.engines[engine_row]
    clear_chunks(engine)
    budget = engine.budget
    if engine.partial != NOBODY:
        request = int(engine.partial)
        engine.partial = NOBODY
        budget -= add_chunk(world, engine_row, request, budget)
    while budget > 0 and world.queues[PREFILL_QUEUE].length and not engine.is_closing:
        request = pop(world, PREFILL_QUEUE)
        engine.in_flight += 1
        engine.held_tokens += world.requests[request].prompt
        budget -= add_chunk(world, engine_row, request, budget)
    engine.steps = 0
    if engine.chunks:
        base = engine.prefill_base if engine.chunk_seconds else 0.0
        engine.mixed_seconds = base + engine.chunk_seconds
        engine.began = world.clock[0].now
        engine.steps = 1
        engine.counted = 0
        schedule(world, engine_row, engine.began + engine.mixed_seconds)


@compiled
def end_prefill_step(world: World, engine_row: int) -> None:
    """Send the KV caches of the finished prompts to their engines, and begin the next step."""
    engine = world.engines[engine_row]
    count(world, engine, engine.steps)
    complete = QUEUES * engine_row + COMPLETE
    while world.queues[complete].length:
        request = pop(world, complete)
        record = world.requests[request]
        engine.in_flight -= 1
        engine.held_tokens -= record.prompt
        seconds = (record.prompt - record.cached) * engine.transfer_token
        send(world, request, world.clock[0].now + seconds)
    _next_prefill_step(world, engine_row)
    if not engine.steps and not engine.is_closing:
        world.pools[PREFILL_POOL].idle += 1
