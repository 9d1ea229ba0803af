"""How far a profile's points reach: what a load asks of an engine beyond them is said."""

from collections.abc import Iterable, Iterator
from math import inf

from planner.core.itl import mean_step_seconds
from planner.core.profile import EngineProfile
from planner.core.role import Role
from planner.core.workload import Workload

# Nearly all prompts; the longest ones of any load are beyond everything.
_LONG_SHARE = 0.99
# Achieved batches are a little off the round numbers that were asked for.
_TOLERANCE = 0.02


def beyond_points(
    role: Role, entry: EngineProfile, workload: Workload, *, replicas: int
) -> tuple[str, ...]:
    """Return a sentence for everything that *workload* asks of *entry* beyond its points.

    *replicas* of *role* share it. Nothing is left out where nothing was measured: that is a
    sentence too.
    """
    name = f"{role} {entry.parallelism}"
    found: list[str] = []
    if role is not Role.DECODE:
        found += _beyond_prefill(name, entry, workload)
    if role is not Role.PREFILL:
        found += _beyond_decode(name, entry, workload, role=role, replicas=replicas)
    return tuple(found)


def _beyond_prefill(name: str, entry: EngineProfile, workload: Workload) -> Iterator[str]:
    if not entry.prefill_points:
        yield f"{name}: the profile has no measured prefill points"
        return
    measured = [point.isl for point in entry.prefill_points]
    asked = (workload.isl, workload.isl_quantile(_LONG_SHARE))
    yield from _outside(f"{name}: prompts of", asked, measured, unit="tokens")


def _beyond_decode(
    name: str, entry: EngineProfile, workload: Workload, *, role: Role, replicas: int
) -> Iterator[str]:
    if not entry.decode_points:
        yield f"{name}: the profile has no measured decode points"
        return
    contexts = [point.kv_tokens / point.batch for point in entry.decode_points if point.batch]
    context = workload.context_tokens
    yield from _outside(f"{name}: contexts of", (context, context), contexts, unit="tokens")
    step = mean_step_seconds(role, entry.engine, workload, replicas=replicas)
    if step == inf:
        return
    batch = workload.rate_rps * workload.osl * step / replicas
    batches = [0.0, *(point.batch for point in entry.decode_points)]
    caches = [0.0, *(point.kv_tokens for point in entry.decode_points)]
    yield from _outside(f"{name}: batches of", (batch, batch), batches, unit="requests")
    yield from _outside(f"{name}: batches of", (batch * context,) * 2, caches, unit="KV tokens")


def _outside(
    what: str, asked: tuple[float, float], measured: Iterable[float], *, unit: str
) -> Iterator[str]:
    points = list(measured)
    least, most = min(points), max(points)
    if asked[1] > most * (1 + _TOLERANCE):
        yield f"{what} up to {asked[1]:.0f} {unit}, measured up to {most:.0f}"
    if asked[0] < least * (1 - _TOLERANCE):
        yield f"{what} {asked[0]:.0f} {unit}, measured from {least:.0f}"
