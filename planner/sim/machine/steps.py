"""The requests that decode in one engine, and runs of many of their steps at once.

While nobody joins or leaves, the step times grow by a constant, so the time of k steps is a sum in
closed form. This is what makes days of traffic affordable.
"""

from math import sqrt

from planner.sim.machine.compiled import compiled
from planner.sim.machine.records import Engine, Seat, World


@compiled
def run_seconds(engine: Engine, steps: int) -> float:
    """Return the time that the next *steps* steps without prompts take."""
    first = (
        engine.decode_base
        + engine.decode_request * engine.batch
        + engine.decode_kv_token * engine.batch_kv_tokens
    )
    growth = engine.decode_kv_token * engine.batch
    return steps * (first + growth * (steps - 1) / 2)


@compiled
def steps_reaching(engine: Engine, seconds: float) -> int:
    """Return the fewest steps, at least one, that take *seconds* or longer."""
    half_growth = engine.decode_kv_token * engine.batch / 2
    linear = run_seconds(engine, 1) - half_growth
    # half_growth*k^2 + linear*k = seconds, in the form that does not cancel:
    k = 2 * seconds / (linear + sqrt(linear * linear + 4 * half_growth * seconds))
    steps = max(1, int(k))
    while run_seconds(engine, steps) < seconds:
        steps += 1
    return steps


@compiled
def count(world: World, engine: Engine, steps: int) -> None:
    """Add the first *steps* steps of the run under way to the sums, where they are not yet."""
    taken = steps - engine.counted
    if taken <= 0:
        return
    pool = world.pools[engine.pool]
    if engine.chunks:
        pool.seconds += engine.mixed_seconds
        pool.prefill_steps += 1
        pool.prefilled += engine.chunk_tokens
        pool.prefilled_squared += engine.chunk_tokens_squared
    else:
        pool.seconds += run_seconds(engine, steps) - run_seconds(engine, engine.counted)
    before = engine.counted * (engine.counted - 1)
    pool.steps += taken
    pool.decoded += engine.batch * taken
    pool.kv_tokens += engine.batch_kv_tokens * taken
    pool.kv_tokens += engine.batch * (steps * (steps - 1) - before) // 2
    engine.held_tokens += engine.batch * taken
    engine.counted = steps


@compiled
def count_so_far(world: World, engine: Engine) -> None:
    """Add the steps that are over by now to the sums; the run goes on."""
    if engine.steps > 1:
        elapsed = world.clock[0].now - engine.began
        steps = steps_reaching(engine, elapsed)
        if run_seconds(engine, steps) > elapsed:
            steps -= 1
        count(world, engine, min(steps, engine.steps - 1))


@compiled
def sit(world: World, engine_row: int, request: int, context: int, tokens: int) -> None:
    """Let *request* produce *tokens*, one a step; its first step reads *context* tokens."""
    engine, heap = world.engines[engine_row], world.seats
    first = engine_row * world.clock[0].seats
    end = engine.steps_done + tokens
    place = engine.batch
    engine.batch += 1
    engine.batch_kv_tokens += context
    engine.joined += 1
    while place > 0:
        above = (place - 1) // 2
        if not _ends_sooner(end, request, heap[first + above]):
            break
        _copy(heap[first + above], heap[first + place])
        place = above
    seat = heap[first + place]
    seat.end = end
    seat.request = request
    seat.joined = engine.joined


@compiled
def stand_up(world: World, engine_row: int, place: int) -> int:
    """Return the request that sits at *place* and take it out of the batch."""
    engine, heap = world.engines[engine_row], world.seats
    first = engine_row * world.clock[0].seats
    request = int(heap[first + place].request)
    engine.batch -= 1
    last = heap[first + engine.batch]
    end, moved, joined = last.end, last.request, last.joined
    while place > 0:
        above = (place - 1) // 2
        if not _ends_sooner(end, moved, heap[first + above]):
            break
        _copy(heap[first + above], heap[first + place])
        place = above
    while True:
        below = 2 * place + 1
        if below >= engine.batch:
            break
        other = below + 1
        if other < engine.batch and _is_before(heap[first + other], heap[first + below]):
            below = other
        if _ends_sooner(end, moved, heap[first + below]):
            break
        _copy(heap[first + below], heap[first + place])
        place = below
    seat = heap[first + place]
    seat.end = end
    seat.request = moved
    seat.joined = joined
    return request


@compiled
def _ends_sooner(end: int, request: int, seat: Seat) -> bool:
    return end < seat.end or (end == seat.end and request < seat.request)


@compiled
def _is_before(one: Seat, other: Seat) -> bool:
    return _ends_sooner(one.end, one.request, other)


@compiled
def _copy(source: Seat, target: Seat) -> None:
    target.end = source.end
    target.request = source.request
    target.joined = source.joined
