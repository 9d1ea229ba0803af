"""The fleet of the replay: starts replicas cold, drains the idlest, and bills all of them."""

from typing import Any

import numpy as np

from planner.sim.machine.compiled import compiled
from planner.sim.oracle.records import (
    ABSENT,
    CLOSING,
    DECODE,
    NOBODY,
    PREFILL,
    READY,
    World,
)
from planner.sim.oracle.steps import prefill_step


@compiled
def look(world: World, prefill: int, decode: int, now: float) -> None:
    """Let there be so many replicas of each role."""
    _scale(world, PREFILL, prefill, now)
    _scale(world, DECODE, decode, now)
    retire(world, now)


@compiled
def _scale(world: World, role: int, wanted: int, now: float) -> None:
    """Start or close replicas of *role* until there are as many as *wanted*."""
    starting, starts = world.starting, world.starts
    ring = starting.shape[1]
    current = _ready(world, role) + starts[role, 1]
    for _ in range(current, wanted):
        starting[role, (starts[role, 0] + starts[role, 1]) % ring] = now
        starts[role, 1] += 1
    for _ in range(wanted, current):
        if starts[role, 1]:
            starts[role, 1] -= 1
            newest = starting[role, (starts[role, 0] + starts[role, 1]) % ring]
            _bill(world, role, newest, now)
        else:
            _close_idlest(world, role)


@compiled
def _ready(world: World, role: int) -> int:
    ready = 0
    if role == PREFILL:
        for w in range(world.shared[0].prefills):
            ready += world.prefills[w].state == READY
    else:
        for w in range(world.shared[0].decodes):
            ready += world.decodes[w].state == READY
    return ready


@compiled
def _close_idlest(world: World, role: int) -> None:
    """Let the ready replica of *role* with the fewest in flight take nothing new."""
    if role == PREFILL:
        world.prefills[_idlest(world.prefills, world.shared[0].prefills)].state = CLOSING
    else:
        world.decodes[_idlest(world.decodes, world.shared[0].decodes)].state = CLOSING


@compiled
def _idlest(replicas: Any, places: int) -> int:
    """Return the ready one with the fewest in flight, of equals the newest."""
    place = NOBODY
    for w in range(places):
        if replicas[w].state == READY and (
            place == NOBODY
            or replicas[w].in_flight < replicas[place].in_flight
            or (
                replicas[w].in_flight == replicas[place].in_flight
                and replicas[w].number > replicas[place].number
            )
        ):
            place = w
    return place


@compiled
def retire(world: World, now: float) -> None:
    """Let closing replicas go that have nothing left."""
    for w in range(world.shared[0].prefills):
        if world.prefills[w].state == CLOSING and world.prefill_until[w] == np.inf:
            world.prefills[w].state = ABSENT
            _bill(world, PREFILL, world.prefills[w].asked, now)
    for w in range(world.shared[0].decodes):
        if world.decodes[w].state == CLOSING and world.decodes[w].in_flight == 0:
            world.decodes[w].state = ABSENT
            world.decode_until[w] = np.inf
            _bill(world, DECODE, world.decodes[w].asked, now)


@compiled
def next_start(world: World) -> tuple[float, int]:
    """Return when the next starting replica serves, inf for none, and its role."""
    at, role = np.inf, PREFILL
    for r in range(2):
        if world.starts[r, 1]:
            ready = world.starting[r, world.starts[r, 0]] + world.laws[0].cold_start
            if ready < at:
                at, role = ready, r
    return at, role


@compiled
def finish_start(world: World, role: int, now: float) -> None:
    """Let the longest starting replica of *role* serve."""
    asked = world.starting[role, world.starts[role, 0]]
    world.shared[0].ready += 1
    world.starts[role, 0] = (world.starts[role, 0] + 1) % world.starting.shape[1]
    world.starts[role, 1] -= 1
    place = 0
    if role == PREFILL:
        while world.prefills[place].state != ABSENT:
            place += 1
        world.prefills[place].state, world.prefills[place].asked = READY, asked
        world.prefills[place].number = world.shared[0].ready
        world.shared[0].prefills = max(world.shared[0].prefills, place + 1)
        prefill_step(world, place, now)
    else:
        while world.decodes[place].state != ABSENT:
            place += 1
        world.decodes[place].state, world.decodes[place].asked = READY, asked
        world.decodes[place].number = world.shared[0].ready
        world.shared[0].decodes = max(world.shared[0].decodes, place + 1)


@compiled
def _bill(world: World, role: int, asked: float, gone: float) -> None:
    """Add what counts of a replica's time, step by step."""
    interval, last = world.laws[0].interval, len(world.billed) - 1
    begin = max(asked, world.laws[0].billed_from)
    end = min(gone, world.requests[len(world.requests) - 1].arrival)
    step = min(int(begin / interval), last)
    while begin < end:
        until = end if step == last else min(end, (step + 1) * interval)
        world.billed[step, role] += max(0.0, until - begin)
        begin = until
        step += 1


@compiled
def settle(world: World) -> None:
    """Bill the replicas that are still there or on their way."""
    for w in range(world.shared[0].prefills):
        if world.prefills[w].state != ABSENT:
            _bill(world, PREFILL, world.prefills[w].asked, np.inf)
    for w in range(world.shared[0].decodes):
        if world.decodes[w].state != ABSENT:
            _bill(world, DECODE, world.decodes[w].asked, np.inf)
    for role in range(2):
        for k in range(world.starts[role, 1]):
            place = (world.starts[role, 0] + k) % world.starting.shape[1]
            _bill(world, role, world.starting[role, place], np.inf)
