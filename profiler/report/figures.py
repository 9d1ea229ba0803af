"""The charts of a report, each from one profile."""

from collections.abc import Callable, Sequence
from itertools import groupby

from planner.charts import Axis, Dot, Dots, Extras, Level, Note, Series, Unit, lines, scatter
from planner.core.profile import DecodePoint, EngineProfile
from planner.core.sla import Sla
from planner.errors import ProfileError
from profiler.fit.curve import curves
from profiler.pareto import Operation

_STEPS = 60
_CONTEXTS = 3
"""Lines of a decode chart: more cannot be told apart."""


def frontier(operations: Sequence[Operation], sla: Sla) -> str:
    """Return throughput per GPU against tokens a second for each user."""
    groups = [
        Dots(label=str(parallelism), dots=[_spot(one) for one in mine], is_joined=True)
        for parallelism, mine in groupby(operations, key=lambda one: one.parallelism)
    ]
    told = "" if sla.itl_seconds is None else f" (target: at least {1 / sla.itl_seconds:.4g})"
    return scatter(
        groups,
        Axis(label=f"tokens/s per user{told}", low=0),
        Axis(label="Tokens/s per GPU", low=0),
    )


def _spot(one: Operation) -> Dot:
    text = (
        f"{one.parallelism}, batch {one.batch}: {one.per_user:.1f}/s for each user,"
        f" {one.per_gpu:.0f}/s per GPU"
    )
    return Dot(x=one.per_user, y=one.per_gpu, text=text)


def prefill(entry: EngineProfile, sla: Sla) -> str:
    """Return TTFT against ISL: the curve, the points, and the target."""
    seconds, _ = _predictors(entry)
    longest = max((point.isl for point in entry.prefill_points), default=8192)
    lengths = [1 + longest * step / _STEPS for step in range(_STEPS + 1)]
    notes = [
        Note(
            x=p.isl,
            y=p.ttft_seconds,
            text=_compared(f"{p.isl} tokens", p.ttft_seconds, seconds(p.isl)),
            slot=1,
        )
        for p in entry.prefill_points
    ]
    return lines(
        [Series(label="curve", x=lengths, y=[seconds(isl) for isl in lengths])],
        Axis(label="prompt tokens", low=0),
        Axis(label="TTFT", unit=Unit.SECONDS, low=0),
        extras=Extras(notes=notes, levels=_level(sla.ttft_seconds, "ttft target")),
    )


def decode(entry: EngineProfile, sla: Sla) -> str:
    """Return ITL against the batch at a few contexts, the points beside the nearest of them."""
    _, seconds = _predictors(entry)
    contexts = _contexts(entry)
    most = max((point.batch for point in entry.decode_points), default=1.0)
    capacity = entry.engine.limits.kv_capacity_tokens
    series = []
    for slot, context in enumerate(contexts):
        end = min(most, capacity / context)
        batches = [1 + (end - 1) * step / _STEPS for step in range(_STEPS + 1)]
        itl = [seconds(batch, batch * context) for batch in batches]
        series.append(Series(label=f"context {context:.0f}", x=batches, y=itl, slot=slot))
    notes = [_decode_note(point, contexts, seconds) for point in entry.decode_points]
    return lines(
        series,
        Axis(label="requests in the batch", low=0),
        Axis(label="ITL", unit=Unit.SECONDS, low=0),
        extras=Extras(notes=notes, levels=_level(sla.itl_seconds, "itl target")),
    )


def residuals(entry: EngineProfile) -> str:
    """Return how far each point is from its curve, against the time that was measured."""
    ttft, itl = _predictors(entry)
    pairs = {
        "ttft": [(p.ttft_seconds, ttft(p.isl), f"{p.isl} tokens") for p in entry.prefill_points],
        "itl": [(p.itl_seconds, itl(p.batch, p.kv_tokens), _load(p)) for p in entry.decode_points],
    }
    groups = [
        Dots(label=name, dots=[_residual(*each) for each in found]) for name, found in pairs.items()
    ]
    return scatter(
        groups,
        Axis(label="measured", unit=Unit.SECONDS),
        Axis(label="Measured over the curve, %"),
        levels=[Level(y=0.0, label="the curve")],
    )


_Ttft = Callable[[float], float]
_Itl = Callable[[float, float], float]


def _predictors(entry: EngineProfile) -> tuple[_Ttft, _Itl]:
    """Return the curves through the points; the laws alone where the points are too few."""
    try:
        ttft, itl = curves(entry)
    except ProfileError:
        return entry.engine.prompt_seconds, entry.engine.decode.step_seconds
    return ttft.ttft_seconds, itl.itl_seconds


def _contexts(entry: EngineProfile) -> list[float]:
    """Return the contexts that lines are drawn for: the shortest, the middle and the longest."""
    found = sorted({round(p.kv_tokens / p.batch) for p in entry.decode_points if p.batch}) or [1000]
    last = len(found) - 1
    return [float(found[place]) for place in sorted({0, last // 2, last})][:_CONTEXTS]


def _decode_note(point: DecodePoint, contexts: Sequence[float], seconds: _Itl) -> Note:
    context = point.kv_tokens / max(point.batch, 1e-9)
    slot = min(range(len(contexts)), key=lambda place: abs(contexts[place] - context))
    told = _compared(_load(point), point.itl_seconds, seconds(point.batch, point.kv_tokens))
    return Note(x=point.batch, y=point.itl_seconds, text=told, slot=slot)


def _load(point: DecodePoint) -> str:
    return f"batch {point.batch:.4g} with {point.kv_tokens:.0f} tokens"


def _compared(what: str, measured: float, curve: float) -> str:
    return f"{what}: {measured * 1e3:.4g} ms measured, {curve * 1e3:.4g} ms by the curve"


def _residual(measured: float, curve: float, what: str) -> Dot:
    share = measured / curve - 1
    return Dot(x=measured, y=100 * share, text=f"{what}: {share:+.1%}")


def _level(seconds: float | None, label: str) -> list[Level]:
    return [] if seconds is None else [Level(y=seconds, label=label)]
