"""Who serves a request, by the frontends' strategies, and who prefills its prompt."""

from planner.sim.machine.compiled import compiled
from planner.sim.machine.prefix import cached_tokens
from planner.sim.machine.queues import push
from planner.sim.machine.records import (
    HOMELESS,
    NOBODY,
    PREFILL_POOL,
    PREFILL_QUEUE,
    SERVING_POOL,
    World,
)
from planner.sim.machine.serving import enter

LEAST_LOADED, ROUND_ROBIN, RANDOM, KV = 0, 1, 2, 3
_MULTIPLIER, _MODULUS = 48271, 2147483647  # a generator whose products fit into 64 bits


@compiled
def route(world: World, request: int) -> None:
    """Give *request* to a serving engine; without one it waits for the first."""
    if not world.pools[SERVING_POOL].serving:
        push(world, HOMELESS, request)
        return
    engine_row = int(_chosen(world, request))
    record = world.requests[request]
    record.cached = cached_tokens(world, engine_row, request)
    record.computed = record.cached
    record.is_remote = _goes_away(world, record.prompt - record.cached)
    enter(world, engine_row, request)


@compiled
def _chosen(world: World, request: int) -> int:
    clock, engines = world.clock[0], world.pools[SERVING_POOL].serving
    first = len(world.agenda)
    if clock.router == LEAST_LOADED:
        return _idlest(world, first, engines)
    if clock.router == KV:
        return _cheapest(world, request, first, engines)
    if clock.router == ROUND_ROBIN:
        clock.turn += 1
        return world.serving[first + (clock.turn - 1) % engines]
    clock.draw = clock.draw * _MULTIPLIER % _MODULUS
    return world.serving[first + clock.draw % engines]


@compiled
def _idlest(world: World, first: int, engines: int) -> int:
    """Return the engine with the fewest requests, the oldest of equals."""
    best = world.serving[first]
    fewest = world.engines[best].in_flight
    for place in range(first + 1, first + engines):
        in_flight = world.engines[world.serving[place]].in_flight
        if in_flight < fewest:
            best, fewest = world.serving[place], in_flight
    return best


@compiled
def _cheapest(world: World, request: int, first: int, engines: int) -> int:
    """Return the engine with the fewest tokens to compute and to hold, the oldest of equals."""
    best, least = NOBODY, 0
    for place in range(first, first + engines):
        engine_row = world.serving[place]
        engine = world.engines[engine_row]
        tokens = engine.line_tokens + engine.complete_tokens + engine.held_tokens
        tokens -= cached_tokens(world, engine_row, request)
        if best == NOBODY or tokens < least:
            best, least = engine_row, tokens
    return best


@compiled
def _goes_away(world: World, tokens: int) -> bool:
    """Return whether a prompt of *tokens* uncached ones is prefilled by a prefill engine."""
    clock = world.clock[0]
    if clock.is_aggregated or not world.pools[PREFILL_POOL].serving:
        return False
    if tokens <= clock.max_local_tokens:
        return False
    return clock.max_queue < 0 or _prefills(world) < clock.max_queue


@compiled
def _prefills(world: World) -> int:
    """Return the prompts that wait for a prefill engine or are in work there."""
    prompts = world.queues[PREFILL_QUEUE].length
    for place in range(world.pools[PREFILL_POOL].serving):
        prompts += world.engines[world.serving[place]].in_flight
    return int(prompts)
