"""The one way into a simulated deployment: let things happen until a moment, or look at it."""

from collections.abc import Callable

from planner.sim.machine.agenda import receive, strike
from planner.sim.machine.compiled import SOURCES, compiled, compiled_once
from planner.sim.machine.ledger import rejected
from planner.sim.machine.look import look
from planner.sim.machine.loss import lose
from planner.sim.machine.prefill import end_prefill_step, pull
from planner.sim.machine.queues import pop
from planner.sim.machine.records import (
    HOMELESS,
    PREFILL_POOL,
    World,
)
from planner.sim.machine.routing import route
from planner.sim.machine.serving import end_run, join

ADVANCE, LOOK, WELCOME, LOSE = 0, 1, 2, 3
"""Orders: let things happen; sum up loads; give an engine that begins to serve what waited; let an
engine die, and its requests go elsewhere."""
REACHED, RETIRED, CROWDED = 0, 1, 2
"""Why an advance ended: at its moment; an engine has drained; more room for transfers is needed."""
_NOTHING, _ARRIVAL, _RUN, _TRANSFER = 0, 1, 2, 3


@compiled
def _next(world: World, until: float, number: int) -> int:
    """Return what happens next, if before *until* and what was scheduled for then as *number*."""
    clock = world.clock[0]
    kind, at, order = _NOTHING, until, number
    if clock.agenda:
        engine = world.engines[world.agenda[0]]
        if engine.ends_at < at or (engine.ends_at == at and engine.number < order):
            kind, at, order = _RUN, engine.ends_at, engine.number
    if clock.arrived < clock.requests:
        arrival = world.requests[clock.arrived].arrival
        if arrival < at or (arrival == at and clock.arrival_number < order):
            kind, at, order = _ARRIVAL, arrival, clock.arrival_number
    if clock.transfers:
        transfer = world.transfers[0]
        if transfer.due < at or (transfer.due == at and transfer.number < order):
            kind, at = _TRANSFER, transfer.due
    clock.now = max(clock.now, at)
    return kind


@compiled
def _arrive(world: World) -> None:
    clock = world.clock[0]
    request = clock.arrived
    clock.arrived += 1
    clock.in_flight += 1
    if not rejected(world, request):
        route(world, request)
    clock.number += 1
    clock.arrival_number = clock.number


@compiled
def _end(world: World, engine_row: int) -> bool:
    """End the run of an engine; return whether it has drained by that."""
    engine = world.engines[engine_row]
    if engine.pool == PREFILL_POOL:
        end_prefill_step(world, engine_row)
    else:
        end_run(world, engine_row)
    if not engine.steps:
        strike(world, engine_row)
    return engine.is_closing and engine.in_flight == 0


@compiled
def _advance(world: World, until: float, number: int) -> int:
    clock = world.clock[0]
    while clock.transfers + clock.most_transfers <= len(world.transfers):
        kind = _next(world, until, number)
        if kind == _RUN:
            engine_row = world.agenda[0]
            if _end(world, engine_row):
                clock.retired = engine_row
                return RETIRED
        elif kind == _ARRIVAL:
            _arrive(world)
        elif kind == _TRANSFER:
            join(world, receive(world))
        else:
            return REACHED
    return CROWDED


@compiled
def _welcome(world: World, engine_row: int) -> None:
    if world.engines[engine_row].pool == PREFILL_POOL:
        world.pools[PREFILL_POOL].idle += 1
        pull(world, engine_row)
        return
    for _ in range(world.queues[HOMELESS].length):
        route(world, pop(world, HOMELESS))


def _one_way_in(sources: str) -> Callable[[World, int, int, float, int], int]:
    @compiled_once
    def turn(world: World, order: int, row: int, until: float, number: int) -> int:
        """Do as the *order* says with the engine *row*; return why it ended."""
        assert sources
        if order == ADVANCE:
            return _advance(world, until, number)
        if order == LOOK:
            look(world)
        elif order == WELCOME:
            _welcome(world, row)
        else:
            lose(world, row)
        return REACHED

    return turn


turn = _one_way_in(SOURCES)
