"""Curves of one engine: the laws, corrected where enough points have earned it."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from math import sqrt
from statistics import mean, stdev
from typing import TypeVar

from planner.core.engine import DecodeLaw, EngineLimits, EngineModel, PrefillLaw
from planner.core.fit import fit_decode, fit_prefill
from planner.core.profile import DecodePoint, EngineProfile, PrefillPoint
from profiler.fit.held_out import HeldOut, held_out, inner_decode, inner_prefill
from profiler.fit.monotone import Correction, correction

Point = TypeVar("Point", PrefillPoint, DecodePoint)

# How far a correction may go.
_TRUSTS = (0.25, 0.5, 0.75, 1.0)
# It must lower the held-out error by as many standard errors of that, and by this: less is luck.
_EARNED_ERRORS = 2.0
_LEAST_GAIN = 0.002
_LEAST_FOR_CORRECTION = 8


@dataclass(frozen=True, slots=True, kw_only=True)
class PrefillCurve:
    """TTFT of a prompt alone on the engine; it never falls with the prompt's length."""

    law: PrefillLaw
    limits: EngineLimits
    correction: Correction
    trust: float
    """How far the correction goes from the law to the points: 0 is the law, 1 the points."""
    errors: HeldOut

    def ttft_seconds(self, isl: float) -> float:
        """Return the TTFT of a prompt of *isl* tokens."""
        return self.correction(_law_ttft(self.law, self.limits, isl))


@dataclass(frozen=True, slots=True, kw_only=True)
class DecodeCurve:
    """ITL at a load; it never falls with the batch or with its KV tokens."""

    law: DecodeLaw
    limits: EngineLimits
    correction: Correction
    trust: float
    """How far the correction goes from the law to the points: 0 is the law, 1 the points."""
    errors: HeldOut

    def itl_seconds(self, batch: float, kv_tokens: float) -> float:
        """Return the time of a step of *batch* requests that hold *kv_tokens* together."""
        return self.correction(self.law.step_seconds(batch, kv_tokens))

    def tokens_per_second(self, itl_seconds: float | None, context_tokens: float) -> float:
        """Return the most tokens a second within *itl_seconds*, at *context_tokens* a request.

        The most over all loads that keep it, so a looser target never returns less. None does not
        judge ITL. 0 where even one request is late.
        """
        engine = EngineModel(prefill=_NO_PREFILL, decode=self.law, limits=self.limits)
        most = 0.0
        for batch in range(1, engine.batch_limit(context_tokens) + 1):
            seconds = self.itl_seconds(batch, batch * context_tokens)
            if itl_seconds is not None and seconds > itl_seconds:
                break
            most = max(most, batch / seconds)
        return most


_NO_PREFILL = PrefillLaw(base_seconds=0.0, token_seconds=0.0, token_squared_seconds=0.0)


def prefill_curve(points: Sequence[PrefillPoint], limits: EngineLimits) -> PrefillCurve:
    """Return the curve through *points*; raises ProfileError below three lengths."""

    def law_seconds(chosen: Sequence[PrefillPoint]) -> Callable[[PrefillPoint], float]:
        law = fit_prefill(chosen, max_num_batched_tokens=limits.max_num_batched_tokens)
        return lambda point: _law_ttft(law, limits, point.isl)

    law = fit_prefill(points, max_num_batched_tokens=limits.max_num_batched_tokens)
    trust, errors = _earned(points, law_seconds, prefill_seconds, inner=inner_prefill(points))
    return PrefillCurve(
        law=law,
        limits=limits,
        correction=_corrected(points, law_seconds(points), prefill_seconds, trust=trust),
        trust=trust,
        errors=errors,
    )


def decode_curve(points: Sequence[DecodePoint], limits: EngineLimits) -> DecodeCurve:
    """Return the curve through *points*; raises ProfileError below three points."""

    def law_seconds(chosen: Sequence[DecodePoint]) -> Callable[[DecodePoint], float]:
        law = fit_decode(chosen)
        return lambda point: law.step_seconds(point.batch, point.kv_tokens)

    law = fit_decode(points)
    trust, errors = _earned(points, law_seconds, decode_seconds, inner=inner_decode(points))
    return DecodeCurve(
        law=law,
        limits=limits,
        correction=_corrected(points, law_seconds(points), decode_seconds, trust=trust),
        trust=trust,
        errors=errors,
    )


def curves(entry: EngineProfile) -> tuple[PrefillCurve, DecodeCurve]:
    """Return the curves of a profile's entry, from the points in it; raises ProfileError."""
    limits = entry.engine.limits
    return (
        prefill_curve(entry.prefill_points, limits),
        decode_curve(entry.decode_points, limits),
    )


def prefill_seconds(point: PrefillPoint) -> float:
    """Return the time that *point* measured."""
    return point.ttft_seconds


def decode_seconds(point: DecodePoint) -> float:
    """Return the time that *point* measured."""
    return point.itl_seconds


def _law_ttft(law: PrefillLaw, limits: EngineLimits, isl: float) -> float:
    chunks = max(1, -(-isl // limits.max_num_batched_tokens))
    return chunks * law.base_seconds + law.marginal_seconds(isl)


_Fitter = Callable[[Sequence[Point]], Callable[[Point], float]]


def _earned(
    points: Sequence[Point],
    fitter: _Fitter[Point],
    measured: Callable[[Point], float],
    *,
    inner: Sequence[int],
) -> tuple[float, HeldOut]:
    """Return the trust in a correction that held-out points bear out, and their errors with it."""

    def predictor(chosen: Sequence[Point], *, trust: float) -> Callable[[Point], float]:
        law = fitter(chosen)
        corrected = _corrected(chosen, law, measured, trust=trust)
        return lambda point: corrected(law(point))

    def errors(trust: float) -> HeldOut:
        return held_out(points, partial(predictor, trust=trust), measured, inner=inner)

    best_trust, best = 0.0, errors(0.0)
    if len(points) < _LEAST_FOR_CORRECTION:
        return best_trust, best
    law = best
    for trust in _TRUSTS:
        found = errors(trust)
        if found.mean < best.mean and _is_better(found, law):
            best_trust, best = trust, found
    return best_trust, best


def _is_better(found: HeldOut, law: HeldOut) -> bool:
    gains = [before - after for before, after in zip(law.errors, found.errors, strict=True)]
    if len(gains) < 2:
        return False
    needed = _EARNED_ERRORS * stdev(gains) / sqrt(len(gains))
    return mean(gains) > max(_LEAST_GAIN, needed)


def _corrected(
    points: Sequence[Point],
    law: Callable[[Point], float],
    measured: Callable[[Point], float],
    *,
    trust: float,
) -> Correction:
    return correction([law(p) for p in points], [measured(p) for p in points], trust=trust)
