"""Steps of the replay's replicas: what goes into each one and who leaves after it."""

import numpy as np

from planner.sim.machine.compiled import compiled
from planner.sim.oracle.records import CLOSING, NOBODY, READY, World


@compiled
def prefill_step(world: World, place: int, now: float) -> None:
    """Fill a step of a prefill replica with its partial prompt and from the queue."""
    laws, requests, shared, me = (
        world.laws[0],
        world.requests,
        world.shared[0],
        world.prefills[place],
    )
    budget, seconds = laws.budget, 0.0
    request, start = me.partial, me.offset
    me.partial = NOBODY
    me.in_flight = 0
    while budget > 0:
        if request == NOBODY:
            request, start = shared.queue_first, 0
            if request == NOBODY or me.state == CLOSING:
                break
            shared.queue_first = requests[request].following
        end = min(requests[request].isl, start + budget)
        me.in_flight += 1
        budget -= end - start
        seconds += (end - start) * (laws.prefill_token + laws.prefill_token_squared * (end + start))
        if end == requests[request].isl:
            requests[request].following = me.complete
            me.complete = request
        else:
            me.partial, me.offset = request, end
        request = NOBODY
    world.prefill_until[place] = now + laws.prefill_base + seconds if seconds > 0 else np.inf


@compiled
def prefill_done(world: World, place: int, now: float) -> None:
    """Send on what a prefill replica completed, and let it go on."""
    requests, transfer = world.requests, world.laws[0].transfer_token
    request = world.prefills[place].complete
    world.prefills[place].complete = NOBODY
    while request != NOBODY:
        me = requests[request]
        later, home = me.following, me.home
        me.joined = now + transfer * me.isl
        me.following = world.decodes[home].arrived
        world.decodes[home].arrived = request
        if not world.decodes[home].in_step:
            world.decode_until[home] = min(world.decode_until[home], me.joined)
        request = later
    prefill_step(world, place, now)


@compiled
def _enqueue(world: World, request: int, now: float) -> None:
    """Queue a prompt, and wake an idle replica for it."""
    requests, shared = world.requests, world.shared[0]
    requests[request].following = NOBODY
    if shared.queue_first == NOBODY:
        shared.queue_first = request
    else:
        requests[shared.queue_last].following = request
    shared.queue_last = request
    idle = NOBODY
    for w in range(shared.prefills):
        if (
            world.prefill_until[w] == np.inf
            and world.prefills[w].state == READY
            and (idle == NOBODY or world.prefills[w].number < world.prefills[idle].number)
        ):
            idle = w
    if idle != NOBODY:
        prefill_step(world, idle, now)


@compiled
def admit(world: World, place: int, now: float) -> None:
    """Give memory of a decode replica to those first in line."""
    me = world.decodes[place]
    while me.line_first != NOBODY:
        request = me.line_first
        if world.requests[request].blocks > me.free:
            return
        me.line_first = world.requests[request].following
        me.free -= world.requests[request].blocks
        _enqueue(world, request, now)


@compiled
def _seat(world: World, place: int, now: float) -> int:
    """Take into the batch those that are here; return the first of them."""
    requests, me, seats = world.requests, world.decodes[place], world.laws[0].seats
    seated, kept, soonest = NOBODY, NOBODY, np.inf
    request = me.arrived
    while request != NOBODY:
        later = requests[request].following
        if requests[request].joined <= now and me.batch < seats:
            me.batch += 1
            me.kv_tokens += requests[request].isl
            requests[request].following = seated
            seated = request
        else:
            soonest = min(soonest, requests[request].joined)
            requests[request].following = kept
            kept = request
        request = later
    me.arrived = kept
    world.decode_until[place] = soonest
    return seated


@compiled
def _decode_step(world: World, place: int, now: float) -> None:
    """Begin a step of a decode replica, when it has anything to do."""
    requests, me, laws = world.requests, world.decodes[place], world.laws[0]
    request = _seat(world, place, now)
    me.in_step = me.batch > 0
    if not me.in_step:
        return
    end = now + laws.decode_base
    end += laws.decode_request * me.batch + laws.decode_kv_token * me.kv_tokens
    world.decode_until[place] = end
    mask = world.ends.shape[1] - 1
    while request != NOBODY:
        later = requests[request].following
        requests[request].first_token = end
        last = (me.steps + requests[request].osl) & mask
        requests[request].following = world.ends[place, last]
        world.ends[place, last] = request
        request = later


@compiled
def _is_kept(world: World, request: int, finish: float) -> bool:
    me, laws = world.requests[request], world.laws[0]
    in_time: bool = me.first_token - me.arrival <= laws.ttft
    return in_time and finish - me.first_token <= laws.itl * (me.osl - 1) + 1e-9


@compiled
def decode_done(world: World, place: int, now: float) -> None:
    """End a decode replica's step: who has all tokens leaves, who waits moves up."""
    requests, me = world.requests, world.decodes[place]
    if me.in_step:
        me.steps += 1
        me.kv_tokens += me.batch
        last = me.steps & (world.ends.shape[1] - 1)
        request = world.ends[place, last]
        if request != NOBODY:
            world.ends[place, last] = NOBODY
            while request != NOBODY:
                me.batch -= 1
                me.in_flight -= 1
                me.kv_tokens -= requests[request].isl + requests[request].osl
                me.free += requests[request].blocks
                world.kept[requests[request].step] += _is_kept(world, request, now)
                request = requests[request].following
            admit(world, place, now)
    _decode_step(world, place, now)
