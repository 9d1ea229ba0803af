"""The prompt blocks that a serving engine still has in memory which nobody uses.

Blocks are cached once their KV cache is there, the longest unused go first, and none stay that
requests need the memory of.
"""

from planner.sim.machine.compiled import compiled
from planner.sim.machine.records import NOBODY, World

BLOCK_TOKENS = 512
"""Prompt tokens that one prefix block of a trace stands for."""


@compiled
def cached_tokens(world: World, engine_row: int, request: int) -> int:
    """Return how many first tokens of the prompt are in the engine's cache; never all of it."""
    if not world.clock[0].cache_size:
        return 0
    first, end = world.blocks_from[request], world.blocks_from[request + 1]
    found = first
    while found < end and _find(world, engine_row, world.blocks[found]) != NOBODY:
        found += 1
    return min(int(found - first) * BLOCK_TOKENS, int(world.requests[request].prompt) - 1)


@compiled
def remember(world: World, engine_row: int, request: int) -> None:
    """Cache the blocks of *request*, its first as the last used: they go in reverse order."""
    clock = world.clock[0]
    if not clock.cache_size:
        return
    first, end = world.blocks_from[request], world.blocks_from[request + 1]
    end = min(end, first + _room(world, engine_row))
    for i in range(end - 1, first - 1, -1):
        block = world.blocks[i]
        row = _find(world, engine_row, block)
        if row == NOBODY:
            row = _new(world, engine_row, block)
        else:
            _unlink(world, engine_row, row)
        _link_newest(world, engine_row, row)
    forget_down_to(world, engine_row)


@compiled
def forget_down_to(world: World, engine_row: int) -> None:
    """Forget the longest unused blocks until the rest fits into what is free."""
    room = _room(world, engine_row)
    while world.engines[engine_row].cached > room:
        _drop_oldest(world, engine_row)


@compiled
def _room(world: World, engine_row: int) -> int:
    engine = world.engines[engine_row]
    free = engine.free_blocks * engine.block_size // BLOCK_TOKENS
    return max(0, min(free, world.clock[0].cache_size))


@compiled
def _bucket(world: World, engine_row: int, block: int) -> int:
    buckets = world.clock[0].cache_buckets
    return engine_row * buckets + block * 40503 % buckets


@compiled
def _find(world: World, engine_row: int, block: int) -> int:
    row = world.buckets[_bucket(world, engine_row, block)]
    while row != NOBODY and world.cache[row].block != block:
        row = world.cache[row].chained
    return row


@compiled
def _new(world: World, engine_row: int, block: int) -> int:
    """Return a row for *block*: an unused one, or that of the longest unused block."""
    engine = world.engines[engine_row]
    if engine.unused == NOBODY:
        _drop_oldest(world, engine_row)
    row = engine.unused
    entry = world.cache[row]
    engine.unused = entry.chained
    bucket = _bucket(world, engine_row, block)
    entry.block = block
    entry.chained = world.buckets[bucket]
    world.buckets[bucket] = row
    engine.cached += 1
    return int(row)


@compiled
def _drop_oldest(world: World, engine_row: int) -> None:
    engine = world.engines[engine_row]
    row = engine.oldest
    _unlink(world, engine_row, row)
    entry = world.cache[row]
    bucket = _bucket(world, engine_row, entry.block)
    if world.buckets[bucket] == row:
        world.buckets[bucket] = entry.chained
    else:
        before = world.buckets[bucket]
        while world.cache[before].chained != row:
            before = world.cache[before].chained
        world.cache[before].chained = entry.chained
    entry.chained = engine.unused
    engine.unused = row
    engine.cached -= 1


@compiled
def _link_newest(world: World, engine_row: int, row: int) -> None:
    engine, entry = world.engines[engine_row], world.cache[row]
    entry.newer = NOBODY
    entry.older = engine.newest
    if engine.newest == NOBODY:
        engine.oldest = row
    else:
        world.cache[engine.newest].newer = row
    engine.newest = row


@compiled
def _unlink(world: World, engine_row: int, row: int) -> None:
    engine, entry = world.engines[engine_row], world.cache[row]
    if entry.newer == NOBODY:
        engine.newest = entry.older
    else:
        world.cache[entry.newer].older = entry.older
    if entry.older == NOBODY:
        engine.oldest = entry.newer
    else:
        world.cache[entry.older].newer = entry.newer
