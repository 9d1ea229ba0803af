"""What happens next: ends of runs in a heap of engines, and KV caches that arrive in another."""

from planner.sim.machine.compiled import compiled
from planner.sim.machine.records import LOST, NOBODY, Engine, Transfer, World


@compiled
def _is_sooner(one: Engine, other: Engine) -> bool:
    if one.ends_at != other.ends_at:
        return one.ends_at < other.ends_at
    return one.number < other.number


@compiled
def schedule(world: World, engine: int, ends_at: float) -> None:
    """Let the run of *engine* end then; equal times are taken in the order of scheduling."""
    clock, record = world.clock[0], world.engines[engine]
    clock.number += 1
    record.ends_at = ends_at
    record.number = clock.number
    if record.place == NOBODY:
        record.place = clock.agenda
        world.agenda[clock.agenda] = engine
        clock.agenda += 1
    _sift(world, record.place)


@compiled
def strike(world: World, engine: int) -> None:
    """Take *engine* off the agenda."""
    clock, record = world.clock[0], world.engines[engine]
    place = record.place
    record.place = NOBODY
    clock.agenda -= 1
    if place != clock.agenda:
        last = world.agenda[clock.agenda]
        world.agenda[place] = last
        world.engines[last].place = place
        _sift(world, place)


@compiled
def _sift(world: World, place: int) -> None:
    """Move the engine at *place* to where it belongs, up or down."""
    agenda, engines = world.agenda, world.engines
    moved = agenda[place]
    record = engines[moved]
    while place > 0:
        above = (place - 1) // 2
        if not _is_sooner(record, engines[agenda[above]]):
            break
        agenda[place] = agenda[above]
        engines[agenda[place]].place = place
        place = above
    size = world.clock[0].agenda
    while True:
        below = 2 * place + 1
        if below >= size:
            break
        if below + 1 < size and _is_sooner(engines[agenda[below + 1]], engines[agenda[below]]):
            below += 1
        if not _is_sooner(engines[agenda[below]], record):
            break
        agenda[place] = agenda[below]
        engines[agenda[place]].place = place
        place = below
    agenda[place] = moved
    record.place = place


@compiled
def send(world: World, request: int, due: float) -> None:
    """Let the KV cache of *request* arrive then."""
    clock, heap = world.clock[0], world.transfers
    clock.number += 1
    number = clock.number
    place = clock.transfers
    clock.transfers += 1
    while place > 0:
        above = (place - 1) // 2
        if heap[above].due <= due:  # of equal times the earlier sent is the first
            break
        _copy(heap[above], heap[place])
        place = above
    heap[place].due = due
    heap[place].number = number
    heap[place].request = request


@compiled
def receive(world: World) -> int:
    """Return the request whose KV cache arrives next and take it off the list."""
    clock, heap = world.clock[0], world.transfers
    request = int(heap[0].request)
    clock.transfers -= 1
    size = clock.transfers
    last = heap[size]
    place = 0
    while True:
        below = 2 * place + 1
        if below >= size:
            break
        if below + 1 < size and _arrives_sooner(heap[below + 1], heap[below]):
            below += 1
        if not _arrives_sooner(heap[below], last):
            break
        _copy(heap[below], heap[place])
        place = below
    if place != size:
        _copy(last, heap[place])
    return request


@compiled
def _arrives_sooner(one: Transfer, other: Transfer) -> bool:
    return one.due < other.due or (one.due == other.due and one.number < other.number)


@compiled
def _copy(source: Transfer, target: Transfer) -> None:
    target.due = source.due
    target.number = source.number
    target.request = source.request


@compiled
def keep_transfers(world: World) -> None:
    """Forget the transfers to engines that are lost; what stays is in order, so still a heap."""
    clock, heap = world.clock[0], world.transfers
    kept = 0
    for place in range(clock.transfers):
        due, number, request = heap[place].due, heap[place].number, int(heap[place].request)
        if world.requests[request].home == LOST:
            continue
        hole = kept
        while hole > 0 and _is_later(heap[hole - 1], due, number):
            _copy(heap[hole - 1], heap[hole])
            hole -= 1
        heap[hole].due = due
        heap[hole].number = number
        heap[hole].request = request
        kept += 1
    clock.transfers = kept


@compiled
def _is_later(one: Transfer, due: float, number: int) -> bool:
    return one.due > due or (one.due == due and one.number > number)
