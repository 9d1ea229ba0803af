"""What frontends count of requests: the first token, the last one, and whether the SLA was kept."""

from planner.sim.machine.compiled import compiled
from planner.sim.machine.records import World


@compiled
def produced_first(world: World, request: int, at: float) -> None:
    """Record the first token of *request*, unless it has had it before it was retried."""
    clock, record = world.clock[0], world.requests[request]
    if record.first == record.first:  # anything but nan
        return
    record.first = at
    clock.ttft_sum += at - record.arrival
    clock.ttft_count += 1


@compiled
def finished(world: World, request: int) -> None:
    """Record the last token of *request*."""
    clock, record = world.clock[0], world.requests[request]
    isl, osl = record.isl, record.osl
    record.finish = clock.now
    clock.in_flight -= 1
    clock.finished += 1
    clock.osl_sum += osl
    clock.context_osl_sum += (isl + osl / 2) * osl
    is_within = record.first - record.arrival <= clock.ttft
    if osl > 1:
        itl = (clock.now - record.first) / (osl - 1)
        clock.itl_sum += itl
        clock.itl_count += 1
        is_within = is_within and itl <= clock.itl
    clock.within_sla += is_within


@compiled
def rejected(world: World, request: int) -> bool:
    """Return whether *request* fits into no engine, and count it as failed if so."""
    clock, record = world.clock[0], world.requests[request]
    if record.isl + record.osl <= clock.kv_tokens_most:
        return False
    clock.in_flight -= 1
    clock.failed += 1
    clock.rejected += 1
    return True
