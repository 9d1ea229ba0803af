"""The engines that produce tokens: aggregated ones, and decode ones of a disaggregated fleet.

Continuous batching with chunked prefill: every step gives each decoding request a token and fills
the rest of the token budget with prompts in order. Steps without prompts are taken many at once.
"""

from planner.sim.machine.agenda import schedule
from planner.sim.machine.compiled import compiled
from planner.sim.machine.ledger import finished, produced_first
from planner.sim.machine.memory import (
    fits,
    give_back,
    grow,
    keep_up,
    make_room,
    seat,
    steps_that_fit,
    take,
    unseat,
)
from planner.sim.machine.prefill import add_chunk, clear_chunks, send_to_prefill
from planner.sim.machine.prefix import remember
from planner.sim.machine.queues import pop, push
from planner.sim.machine.records import (
    ARRIVED,
    COMPLETE,
    JOINED,
    LINE,
    NOBODY,
    QUEUES,
    World,
)
from planner.sim.machine.steps import count, run_seconds, stand_up, steps_reaching


@compiled
def enter(world: World, engine_row: int, request: int) -> None:
    """Let *request* in line for memory, and for its prompt unless that is prefilled elsewhere."""
    engine, record = world.engines[engine_row], world.requests[request]
    record.home = engine_row
    engine.in_flight += 1
    push(world, QUEUES * engine_row + LINE, request)
    if record.is_remote:
        let_remote_in(world, engine_row)
        return
    engine.line_tokens += record.prompt - record.computed
    if not engine.steps:
        _next_step(world, engine_row)
    elif engine.steps > 1 and _may_admit(world, engine_row):
        _stop_early(world, engine_row)


@compiled
def join(world: World, request: int) -> None:
    """Decode *request* from the next step of its engine on: its KV cache is here."""
    engine_row = int(world.requests[request].home)
    engine = world.engines[engine_row]
    push(world, QUEUES * engine_row + ARRIVED, request)
    remember(world, engine_row, request)
    if not engine.steps:
        _next_step(world, engine_row)
    elif engine.steps > 1 and running(world, engine_row) < engine.max_seats:
        _stop_early(world, engine_row)


@compiled
def running(world: World, engine_row: int) -> int:
    """Return the requests in the batch, those whose prompt is under way among them."""
    engine = world.engines[engine_row]
    complete = world.queues[QUEUES * engine_row + COMPLETE].length
    return int(engine.batch + complete + (engine.partial != NOBODY))


@compiled
def let_remote_in(world: World, engine_row: int) -> None:
    """Give memory to those first in line that need nothing else here."""
    line = world.queues[QUEUES * engine_row + LINE]
    while line.length and world.requests[line.head].is_remote:
        if not fits(world, engine_row, line.head):
            return
        request = pop(world, QUEUES * engine_row + LINE)
        take(world, engine_row, request)
        _shorten(world, engine_row)
        send_to_prefill(world, request)


@compiled
def _shorten(world: World, engine_row: int) -> None:
    """End the run before the memory ends that a newcomer has left."""
    engine = world.engines[engine_row]
    if world.clock[0].grows and engine.steps > 1:
        steps = steps_that_fit(world, engine_row, engine.grown, engine.steps)
        if steps < engine.steps:
            engine.steps = steps
            schedule(world, engine_row, engine.began + run_seconds(engine, steps))


@compiled
def _may_admit(world: World, engine_row: int) -> bool:
    """Return whether the first in line can begin its prompt here."""
    line = world.queues[QUEUES * engine_row + LINE]
    return (
        line.length > 0
        and not world.requests[line.head].is_remote
        and running(world, engine_row) < world.engines[engine_row].max_seats
        and fits(world, engine_row, line.head)
    )


@compiled
def _next_step(world: World, engine_row: int) -> None:
    """Take one step with prompts in it, or many without."""
    engine = world.engines[engine_row]
    engine.steps = 0
    engine.counted = 0
    engine.grown = 1
    engine.began = world.clock[0].now
    make_room(world, engine_row)
    _seat_arrived(world, engine_row)
    _add_chunks(world, engine_row)
    if engine.chunks:
        first = _mixed_seconds(world, engine_row)
        engine.mixed_seconds = first
        engine.steps = 1
        schedule(world, engine_row, engine.began + first)
    elif engine.batch:
        first = run_seconds(engine, 1)
        to_next_end = world.seats[engine_row * world.clock[0].seats].end - engine.steps_done
        engine.steps = steps_that_fit(world, engine_row, 1, to_next_end)
        schedule(world, engine_row, engine.began + run_seconds(engine, engine.steps))
    else:
        return
    joined = QUEUES * engine_row + JOINED
    while world.queues[joined].length:
        produced_first(world, pop(world, joined), engine.began + first)


@compiled
def _mixed_seconds(world: World, engine_row: int) -> float:
    """Return the time of a step with prompts: the weights are read once for both halves."""
    engine = world.engines[engine_row]
    base = engine.prefill_base if engine.chunk_seconds else 0.0
    if not engine.batch:
        return base + engine.chunk_seconds
    waited = max(0.0, base - engine.decode_base)
    return run_seconds(engine, 1) + waited + engine.chunk_seconds


@compiled
def _seat_arrived(world: World, engine_row: int) -> None:
    engine = world.engines[engine_row]
    arrived = world.queues[QUEUES * engine_row + ARRIVED]
    while arrived.length and running(world, engine_row) < engine.max_seats:
        request = pop(world, QUEUES * engine_row + ARRIVED)
        seat(world, engine_row, request, 0)
        push(world, QUEUES * engine_row + JOINED, request)


@compiled
def _add_chunks(world: World, engine_row: int) -> None:
    """Share the step's budget out to prompts: first to the one begun, then to the next in line."""
    engine = world.engines[engine_row]
    clear_chunks(engine)
    budget = engine.budget - engine.batch
    if budget > 0 and engine.partial != NOBODY:
        request = int(engine.partial)
        engine.partial = NOBODY
        budget -= _add_prompt(world, engine_row, request, budget)
    while budget > 0 and _may_admit(world, engine_row):
        request = pop(world, QUEUES * engine_row + LINE)
        take(world, engine_row, request)
        engine.line_tokens -= world.requests[request].prompt - world.requests[request].computed
        let_remote_in(world, engine_row)
        budget -= _add_prompt(world, engine_row, request, budget)


@compiled
def _add_prompt(world: World, engine_row: int, request: int, budget: int) -> int:
    tokens = add_chunk(world, engine_row, request, budget)
    record, engine = world.requests[request], world.engines[engine_row]
    if engine.partial != request:
        engine.complete_tokens += record.prompt - record.cached
    return tokens


@compiled
def _stop_early(world: World, engine_row: int) -> None:
    """End the run at the step that is under way, to let a newcomer in."""
    engine = world.engines[engine_row]
    steps = steps_reaching(engine, world.clock[0].now - engine.began)
    if steps < engine.steps:
        keep_up(world, engine_row)
        engine.steps = steps
        schedule(world, engine_row, engine.began + run_seconds(engine, steps))


@compiled
def end_run(world: World, engine_row: int) -> None:
    """Let those go who have all their tokens, and begin the next step or run."""
    engine = world.engines[engine_row]
    count(world, engine, engine.steps)
    grow(world, engine_row, engine.steps)
    engine.batch_kv_tokens += engine.steps * engine.batch
    engine.steps_done += engine.steps
    first = engine_row * world.clock[0].seats
    while engine.batch and world.seats[first].end <= engine.steps_done:
        request = stand_up(world, engine_row, 0)
        record = world.requests[request]
        engine.batch_kv_tokens -= record.isl + record.osl
        unseat(world, engine_row, request, 0)
        _leave(world, engine_row, request)
    complete = QUEUES * engine_row + COMPLETE
    engine.complete_tokens = 0
    engine.steps = 0
    while world.queues[complete].length:
        _begin_decoding(world, engine_row, pop(world, complete))
    let_remote_in(world, engine_row)
    _next_step(world, engine_row)


@compiled
def _begin_decoding(world: World, engine_row: int, request: int) -> None:
    """The step that completed the prompt gave a token; the rest is decoded."""
    engine, record = world.engines[engine_row], world.requests[request]
    produced_first(world, request, world.clock[0].now)
    remember(world, engine_row, request)
    engine.held_tokens += 1
    if record.prompt + 1 == record.isl + record.osl:
        _leave(world, engine_row, request)
    else:
        seat(world, engine_row, request, 1)


@compiled
def _leave(world: World, engine_row: int, request: int) -> None:
    give_back(world, engine_row, request)
    world.engines[engine_row].in_flight -= 1
    finished(world, request)
