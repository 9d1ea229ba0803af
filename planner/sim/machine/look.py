"""What engines say about themselves at a moment, summed over those that serve."""

from planner.sim.machine.compiled import compiled
from planner.sim.machine.records import (
    ARRIVED,
    LINE,
    NOBODY,
    PREFILL_POOL,
    PREFILL_QUEUE,
    QUEUES,
    SERVING_POOL,
    World,
)
from planner.sim.machine.serving import running
from planner.sim.machine.steps import count_so_far


@compiled
def look(world: World) -> None:
    """Bring the figures of both pools up to now, in the middle of runs too."""
    for place in range(world.clock[0].agenda):
        count_so_far(world, world.engines[world.agenda[place]])
    for pool in (PREFILL_POOL, SERVING_POOL):
        _sum_up(world, pool)
    world.pools[PREFILL_POOL].waiting = world.queues[PREFILL_QUEUE].length


@compiled
def _sum_up(world: World, pool_row: int) -> None:
    pool = world.pools[pool_row]
    pool.waiting = pool.waiting_tokens = pool.running = 0
    pool.kv_usage = 0.0
    first = pool_row * len(world.agenda)
    for place in range(first, first + pool.serving):
        engine_row = world.serving[place]
        engine = world.engines[engine_row]
        pool.waiting += world.queues[QUEUES * engine_row + LINE].length
        pool.waiting += world.queues[QUEUES * engine_row + ARRIVED].length
        pool.waiting_tokens += engine.line_tokens + engine.complete_tokens
        if engine.partial != NOBODY:
            partial = world.requests[engine.partial]
            pool.waiting_tokens += partial.prompt - partial.computed
        pool.running += running(world, engine_row)
        pool.kv_usage += min(1.0, engine.held_tokens / engine.kv_tokens_most)
