"""KV blocks of one engine: who gets some, and who loses them.

By default a request takes all that it will ever need when it is let in; that holds back a little
and needs no preemption. Where memory `grows`, it takes what its prompt and first token need, and a
block more whenever one is full. If none is left then, who began last starts over with the tokens it
has: its KV cache is computed again once there is room.
"""

from planner.sim.machine.compiled import compiled
from planner.sim.machine.prefix import forget_down_to
from planner.sim.machine.queues import push_first
from planner.sim.machine.records import (
    LINE,
    NOBODY,
    QUEUES,
    Engine,
    Request,
    World,
)
from planner.sim.machine.steps import sit, stand_up, steps_reaching


@compiled
def blocks_for(engine: Engine, tokens: int) -> int:
    """Return the blocks that *tokens* fill or begin."""
    return -(-tokens // engine.block_size)


@compiled
def _admission_tokens(world: World, request: Request) -> int:
    return request.prompt + 1 if world.clock[0].grows else request.isl + request.osl


@compiled
def fits(world: World, engine_row: int, request: int) -> bool:
    """Return whether *request* can be let in by now."""
    engine = world.engines[engine_row]
    keep_up(world, engine_row)
    needed = blocks_for(engine, _admission_tokens(world, world.requests[request]))
    return needed <= engine.free_blocks


@compiled
def take(world: World, engine_row: int, request: int) -> None:
    """Give *request* its memory; `fits` has said yes."""
    engine, record = world.engines[engine_row], world.requests[request]
    engine.free_blocks -= blocks_for(engine, _admission_tokens(world, record))
    engine.held_tokens += record.prompt
    if world.clock[0].cache_size:
        forget_down_to(world, engine_row)


@compiled
def give_back(world: World, engine_row: int, request: int) -> None:
    """Free the memory of *request*, which has all its tokens."""
    engine, record = world.engines[engine_row], world.requests[request]
    tokens = record.isl + record.osl
    engine.free_blocks += blocks_for(engine, tokens)
    engine.held_tokens -= tokens


@compiled
def seat(world: World, engine_row: int, request: int, produced: int) -> None:
    """Let *request*, with its prompt and *produced* tokens, decode what it lacks."""
    clock, engine, record = world.clock[0], world.engines[engine_row], world.requests[request]
    context = record.prompt + produced
    sit(world, engine_row, request, context, record.isl + record.osl - context)
    if clock.grows:
        covered = blocks_for(engine, record.prompt + 1) * engine.block_size
        world.phases[_phase(world, engine_row, covered + 1 - context)] += 1


@compiled
def _phase(world: World, engine_row: int, steps_ahead: int) -> int:
    engine = world.engines[engine_row]
    phase = (engine.steps_done + steps_ahead) % engine.block_size
    return engine_row * world.clock[0].phases + phase


@compiled
def unseat(world: World, engine_row: int, request: int, left: int) -> None:
    """Forget when *request*, which has just left the batch and lacks *left* tokens, grows."""
    if world.clock[0].grows:
        engine, record = world.engines[engine_row], world.requests[request]
        context = record.isl + record.osl - left
        covered = blocks_for(engine, context) * engine.block_size
        world.phases[_phase(world, engine_row, covered + 1 - context)] -= 1


@compiled
def steps_that_fit(world: World, engine_row: int, taken: int, most: int) -> int:
    """Return how many of *most* steps of a run have memory; *taken* of them have theirs."""
    if not world.clock[0].grows:
        return most
    engine = world.engines[engine_row]
    free = engine.free_blocks
    if free >= engine.batch * ((most - taken) // engine.block_size + 1):
        return most
    if engine.batch:  # every request takes one block in as many steps as a block has tokens
        whole = min(free // engine.batch, (most - taken) // engine.block_size)
        taken += whole * engine.block_size
        free -= whole * engine.batch
    while taken < most:
        free -= world.phases[_phase(world, engine_row, taken + 1)]
        if free < 0:
            break
        taken += 1
    return taken


@compiled
def grow(world: World, engine_row: int, steps: int) -> None:
    """Take the memory of the run's steps up to *steps*, where they have not got it yet."""
    engine = world.engines[engine_row]
    if not world.clock[0].grows or steps <= engine.grown:
        return
    whole = (steps - engine.grown) // engine.block_size
    engine.free_blocks -= whole * engine.batch
    for step in range(engine.grown + whole * engine.block_size + 1, steps + 1):
        engine.free_blocks -= world.phases[_phase(world, engine_row, step)]
    engine.grown = steps


@compiled
def keep_up(world: World, engine_row: int) -> None:
    """Take the memory of all steps up to the one under way."""
    engine = world.engines[engine_row]
    if world.clock[0].grows and engine.steps > 1:
        steps = steps_reaching(engine, world.clock[0].now - engine.began)
        grow(world, engine_row, min(steps, engine.steps))


@compiled
def make_room(world: World, engine_row: int) -> None:
    """Preempt until the next step of the others fits, and take its memory."""
    clock, engine = world.clock[0], world.engines[engine_row]
    if not clock.grows:
        return
    while world.phases[_phase(world, engine_row, 1)] > engine.free_blocks:
        _preempt(world, engine_row)
    engine.free_blocks -= world.phases[_phase(world, engine_row, 1)]


@compiled
def _preempt(world: World, engine_row: int) -> None:
    """Send who began last back to the head of the line."""
    engine = world.engines[engine_row]
    world.clock[0].preempted += 1
    if engine.partial != NOBODY:
        request = int(engine.partial)
        engine.partial = NOBODY
        context = int(world.requests[request].prompt)
        engine.free_blocks += blocks_for(engine, context + 1)
    else:
        request, context = _last_seated(world, engine_row)
        engine.free_blocks += blocks_for(engine, context)
        engine.batch_kv_tokens -= context
    record = world.requests[request]
    record.prompt = context
    record.computed = 0
    record.cached = 0
    record.is_remote = False
    engine.held_tokens -= context
    engine.line_tokens += context
    push_first(world, QUEUES * engine_row + LINE, request)


@compiled
def _last_seated(world: World, engine_row: int) -> tuple[int, int]:
    engine = world.engines[engine_row]
    first = engine_row * world.clock[0].seats
    last = 0
    for place in range(engine.batch):
        if world.seats[first + place].joined > world.seats[first + last].joined:
            last = place
    left = world.seats[first + last].end - engine.steps_done
    request = stand_up(world, engine_row, last)
    unseat(world, engine_row, request, left)
    record = world.requests[request]
    return request, int(record.isl + record.osl - left)
