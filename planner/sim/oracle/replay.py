"""A disaggregated fleet on a schedule, step by step: the search's quick look at a trace.

The same laws, routing, memory and draining as `planner.sim`, without what a search has no use for:
observations, policies, failures, caches. What the search finds is simulated for real afterwards.
"""

import hashlib
from collections.abc import Callable
from pathlib import Path

import numpy as np

from planner.sim.machine.compiled import compiled, compiled_once
from planner.sim.oracle.fleet import finish_start, look, next_start, retire, settle
from planner.sim.oracle.records import (
    CLOSING,
    DECODE,
    NOBODY,
    PREFILL,
    READY,
    Floats,
    Ints,
    World,
)
from planner.sim.oracle.steps import admit, decode_done, prefill_done


@compiled
def _run(world: World, wanted: Ints) -> None:
    laws, requests = world.laws[0], world.requests
    step, request = 0, 0
    while True:
        arrival = requests[request].arrival if request < len(requests) else np.inf
        asked = step * laws.interval if step < len(wanted) else np.inf
        begins, role = next_start(world)
        at = min(arrival, asked, begins)
        if at == np.inf:
            break
        _work(world, at)
        if arrival == at:
            _arrive(world, request, at)
            request += 1
        elif begins == at:
            finish_start(world, role, at)
        else:
            if at >= laws.hands_off:
                look(world, wanted[step, PREFILL], wanted[step, DECODE], at)
            step += 1
    _work(world, requests[len(requests) - 1].arrival + laws.patience)
    settle(world)


@compiled
def _work(world: World, until: float) -> None:
    """Let all steps end that do so before *until*."""
    prefill_until, decode_until, shared = world.prefill_until, world.decode_until, world.shared[0]
    while True:
        decode = _soonest(decode_until, shared.decodes)
        prefill = _soonest(prefill_until, shared.prefills)
        is_prefill = prefill_until[prefill] <= decode_until[decode]
        now = prefill_until[prefill] if is_prefill else decode_until[decode]
        if now > until or now == np.inf:
            return
        if is_prefill:
            prefill_done(world, prefill, now)
            is_closing = world.prefills[prefill].state == CLOSING
        else:
            decode_done(world, decode, now)
            is_closing = world.decodes[decode].state == CLOSING
        if is_closing:
            retire(world, now)


@compiled
def _soonest(until: Floats, places: int) -> int:
    place = 0
    for w in range(1, places):
        if until[w] < until[place]:
            place = w
    return place


@compiled
def _arrive(world: World, request: int, now: float) -> None:
    """Send *request* to the ready decode replica with the fewest in flight."""
    decodes, requests = world.decodes, world.requests
    place = NOBODY
    for w in range(world.shared[0].decodes):
        if decodes[w].state == READY and (
            place == NOBODY
            or decodes[w].in_flight < decodes[place].in_flight
            or (
                decodes[w].in_flight == decodes[place].in_flight
                and decodes[w].number < decodes[place].number
            )
        ):
            place = w
    home = decodes[place]
    home.in_flight += 1
    requests[request].home = place
    requests[request].following = NOBODY
    if home.line_first == NOBODY:
        home.line_first = request
    else:
        requests[home.line_last].following = request
    home.line_last = request
    admit(world, place, now)


_SOURCES = hashlib.sha256(
    b"".join(path.read_bytes() for path in sorted(Path(__file__).parent.glob("*.py")))
).hexdigest()
"""Changes with any of the functions: what was compiled of others must not be taken for them."""


def _one_way_in(sources: str) -> Callable[[World, Ints], None]:
    @compiled_once
    def run(world: World, wanted: Ints) -> None:
        """Run the trace through the fleet; row k of *wanted* is asked for at k intervals."""
        assert sources
        _run(world, wanted)

    return run


run = _one_way_in(_SOURCES)
