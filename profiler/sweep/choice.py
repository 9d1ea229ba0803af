"""The next ask of a sweep, from the records so far alone: resumed, it asks the same again."""

from collections.abc import Sequence
from math import log

from planner.core.engine import DecodeLaw, PrefillLaw
from planner.core.fit import fit_decode, fit_prefill
from planner.core.profile import DecodePoint
from profiler.effort import Effort
from profiler.ports import EngineFacts
from profiler.record import Ask, DecodeAsk, PointRecord, PrefillAsk
from profiler.sweep.design import Place, best_next
from profiler.sweep.scope import Scope
from profiler.target import Target

# Attempts beyond the points asked for, to make up for failed ones.
_SPARE_ATTEMPTS = 2
# What all boundaries of the SLA weigh together, and that of the usual load; everything else weighs
# 1. It is at the usual load that parallelisms are compared, and they often differ by little there.
_BOUNDARY_WEIGHT = 1.0
_USUAL_WEIGHT = 2.0
_LEAST_FOR_LAW = 3


def next_ask(
    facts: EngineFacts, target: Target, effort: Effort, *, records: Sequence[PointRecord]
) -> Ask | None:
    """Return what to measure after *records*, or None when they are all.

    Prompts first, since they are cheap; corners first, since they bound everything between.
    """
    scope = Scope.of(facts, target)
    prefill = [record for record in records if isinstance(record.ask, PrefillAsk)]
    lengths = {point.isl for record in prefill if (point := record.prefill_point) is not None}
    if _wanting(len(lengths), prefill, effort.prefill_points):
        found = _next_prefill(scope, facts, target, prefill)
        if found is not None:
            return found
    decode = [record for record in records if isinstance(record.ask, DecodeAsk)]
    measured = sum(record.failure is None for record in decode)
    if _wanting(measured, decode, effort.decode_points):
        return _next_decode(scope, target, decode)
    return None


def _wanting(measured: int, records: Sequence[PointRecord], points: int) -> bool:
    return measured < points and len(records) < points + _SPARE_ATTEMPTS


def _next_prefill(
    scope: Scope, facts: EngineFacts, target: Target, records: Sequence[PointRecord]
) -> PrefillAsk | None:
    asked = {record.ask for record in records}
    for corner in scope.prefill_corners:
        if corner not in asked:
            return corner
    left = [ask for ask in scope.prefill_asks() if ask not in asked]
    points = [p for p in (record.prefill_point for record in records) if p is not None]
    if not left:
        return None
    if len({point.isl for point in points}) < _LEAST_FOR_LAW:
        return left[len(left) // 2]
    budget = facts.max_num_batched_tokens
    places = _Prompts(scope, fit_prefill(points, max_num_batched_tokens=budget), budget)
    goals = [places.at(ask.isl) for ask in scope.prefill_asks()]
    edges = [places.at(scope.usual_isl)]
    if target.sla.ttft_seconds is not None:
        edges.append(places.at(places.longest_within(target.sla.ttft_seconds)))
    chosen = best_next(
        [places.at(ask.isl) for ask in left],
        [places.at(point.isl) for point in points],
        goals=[*goals, *edges],
        weights=_weights(goals, edges),
    )
    return left[chosen]


class _Prompts:
    """Prompts as places: the terms of the prefill law, and the logarithm of the length."""

    def __init__(self, scope: Scope, law: PrefillLaw, budget: int) -> None:
        self._scope = scope
        self._law = law
        self._budget = budget

    def at(self, isl: float) -> Place:
        chunks = max(1, -(-round(isl) // self._budget))
        seconds = self._seconds(isl)
        span = log(self._scope.longest / self._scope.shortest)
        return Place(
            terms=(chunks / seconds, isl / seconds, isl**2 / seconds),
            at=(log(isl / self._scope.shortest) / span,),
        )

    def longest_within(self, ttft_seconds: float) -> float:
        """Return the longest prompt of the scope whose TTFT keeps the target, or the shortest."""
        within = [a.isl for a in self._scope.prefill_asks() if self._seconds(a.isl) <= ttft_seconds]
        return max(within, default=self._scope.shortest)

    def _seconds(self, isl: float) -> float:
        chunks = max(1, -(-round(isl) // self._budget))
        return chunks * self._law.base_seconds + self._law.marginal_seconds(isl)


def _next_decode(scope: Scope, target: Target, records: Sequence[PointRecord]) -> DecodeAsk | None:
    asked = {record.ask for record in records}
    for corner in scope.decode_corners:
        if corner not in asked:
            return corner
    left = [ask for ask in scope.decode_asks() if ask not in asked]
    points = [p for p in (record.decode_point for record in records) if p is not None]
    if not left:
        return None
    if len(points) < _LEAST_FOR_LAW:
        return left[len(left) // 2]
    loads = _Loads(scope, fit_decode(points))
    goals = [loads.asked(ask) for ask in scope.decode_asks()]
    edges = loads.edges(target.sla.itl_seconds)
    chosen = best_next(
        [loads.asked(ask) for ask in left],
        [loads.measured(point) for point in points],
        goals=[*goals, *edges],
        weights=_weights(goals, edges),
    )
    return left[chosen]


class _Loads:
    """Decode loads as places: the terms of the decode law, and their shares of what fits."""

    def __init__(self, scope: Scope, law: DecodeLaw) -> None:
        self._scope = scope
        self._law = law

    def asked(self, ask: DecodeAsk) -> Place:
        return self._at(ask.concurrency, ask.concurrency * ask.context)

    def measured(self, point: DecodePoint) -> Place:
        return self._at(point.batch, point.kv_tokens)

    def edges(self, itl_seconds: float | None) -> list[Place]:
        """Return the largest batches that keep the target, at the usual and at other contexts."""
        scope = self._scope
        contexts = {scope.usual_context, *(ask.context for ask in scope.decode_asks())}
        found = []
        for context in [scope.usual_context, *sorted(contexts)]:
            batch = float(scope.most(context))
            marginal = self._law.marginal_seconds(context)
            if itl_seconds is not None and marginal > 0:
                within = (itl_seconds - self._law.base_seconds) / marginal
                batch = min(batch, max(1.0, within))
            found.append(self._at(batch, batch * context))
        return found

    def _at(self, batch: float, kv_tokens: float) -> Place:
        seconds = self._law.step_seconds(batch, kv_tokens)
        return Place(
            terms=(1 / seconds, batch / seconds, kv_tokens / seconds),
            at=(
                (batch / self._scope.max_num_seqs) ** 0.5,
                (kv_tokens / self._scope.kv_tokens) ** 0.5,
            ),
        )


def _weights(goals: Sequence[Place], edges: Sequence[Place]) -> list[float]:
    """Return weights of goals, and of edges: the usual load's first, then boundaries alike."""
    others = max(1, len(edges) - 1)
    first = [_USUAL_WEIGHT] * min(1, len(edges))
    rest = [_BOUNDARY_WEIGHT / others] * (len(edges) - 1)
    return [1 / len(goals)] * len(goals) + first + rest
