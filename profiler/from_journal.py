"""Refits the laws of one engine from what production measured.

The time of steps is linear in what they computed, so the sums of intervals give the coefficients,
as far as the intervals differ in what they computed. The rest of the profile's is kept.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from planner.core.drift import model_seconds
from planner.core.engine import DecodeLaw, EngineModel, PrefillLaw
from planner.core.observation import StepSums
from planner.core.role import Role

Floats = NDArray[np.float64]

# A coefficient that the intervals tell this badly is left as it was: standard error over itself.
_LARGEST_ERROR = 0.2
# Intervals beyond as many deviations of the rest are not what the law is about, such as warm-ups.
_FAR_DEVIATIONS = 5.0
_DEVIATION_RATIO = 1.4826
_LEAST_INTERVALS = 10


@dataclass(frozen=True, slots=True, kw_only=True)
class Coefficient:
    """One coefficient of the laws in seconds; *after* equals *before* where it is kept.

    *relative_error* is its standard error over itself, None where the intervals do not tell it.
    """

    name: str
    before: float
    after: float
    relative_error: float | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Refit:
    """An engine after its production, and how far the step times of both are from that one's.

    *error_before* and *error_after* are mean errors of an interval's time as shares of it.
    """

    engine: EngineModel
    coefficients: tuple[Coefficient, ...]
    intervals: int
    left_out: int
    error_before: float
    error_after: float


def refit(role: Role, engine: EngineModel, intervals: Sequence[StepSums]) -> Refit | None:
    """Return *engine* with the coefficients that *intervals* of *role* tell.

    None below ten intervals in which something was computed.
    """
    busy = [steps for steps in intervals if steps.steps > 0 and steps.seconds > 0]
    if len(busy) < _LEAST_INTERVALS:
        return None
    names = _NAMES[role]
    before = _coefficients(role, engine)
    rows = _rows(role, busy)
    solution = _identified(rows, before)
    near = _near(rows @ solution.values)
    if not near.all() and near.sum() >= _LEAST_INTERVALS:
        solution = _identified(rows[near], before)
    after = _with(role, engine, solution)
    return Refit(
        engine=after,
        coefficients=tuple(
            Coefficient(name=name, before=float(b), after=float(a), relative_error=error)
            for name, b, a, error in zip(
                names, before, _coefficients(role, after), solution.errors, strict=True
            )
        ),
        intervals=int(near.sum()),
        left_out=int((~near).sum()),
        error_before=_error(role, engine, busy),
        error_after=_error(role, after, busy),
    )


_PREFILL = ("prefill base", "prefill token", "prefill token squared")
_DECODE = ("decode base", "decode request", "decode KV token")
_NAMES = {
    Role.PREFILL: _PREFILL,
    Role.DECODE: _DECODE,
    Role.AGGREGATED: (*_PREFILL, *_DECODE),
}


def _coefficients(role: Role, engine: EngineModel) -> Floats:
    prefill, decode = engine.prefill, engine.decode
    base = prefill.base_seconds
    if role is Role.AGGREGATED:
        base = max(base, decode.base_seconds)  # what a step with both in it pays
    both = {
        Role.PREFILL: (base, prefill.token_seconds, prefill.token_squared_seconds),
        Role.DECODE: (decode.base_seconds, decode.request_seconds, decode.kv_token_seconds),
    }
    chosen = both.get(role, (*both[Role.PREFILL], *both[Role.DECODE]))
    return np.array(chosen)


def _rows(role: Role, intervals: Sequence[StepSums]) -> Floats:
    """Return what each coefficient multiplies, over the interval's time."""
    prefill = [(s.prefill_steps, s.prefilled, s.prefilled_squared) for s in intervals]
    with_prompts = 1 if role is Role.AGGREGATED else 0
    decode = [(s.steps - with_prompts * s.prefill_steps, s.decoded, s.kv_tokens) for s in intervals]
    both = {Role.PREFILL: prefill, Role.DECODE: decode}
    columns = np.array(both[role]) if role in both else np.hstack([prefill, decode])
    seconds = np.array([s.seconds for s in intervals])
    return np.asarray(columns / seconds[:, None], dtype=float)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Solution:
    values: Floats
    errors: list[float | None]


def _identified(rows: Floats, before: Floats) -> _Solution:
    """Return the coefficients that the rows tell, the others as they were *before*.

    What is told worst is fixed first, since others may be told well once it is.
    """
    values = before.copy()
    errors: list[float | None] = [None] * len(before)
    free = [i for i in range(len(before)) if rows[:, i].any()]
    while free:
        fixed = [i for i in range(len(before)) if i not in free]
        wanted = 1 - rows[:, fixed] @ before[fixed]
        found, deviations = _least_squares(rows[:, free], wanted)
        relative = [
            float(d / f) if f > 0 else float("inf") for d, f in zip(deviations, found, strict=True)
        ]
        worst = max(range(len(free)), key=relative.__getitem__)
        if relative[worst] <= _LARGEST_ERROR:
            for i, value, error in zip(free, found, relative, strict=True):
                values[i], errors[i] = value, error
            break
        del free[worst]
    return _Solution(values=values, errors=errors)


def _least_squares(columns: Floats, wanted: Floats) -> tuple[Floats, Floats]:
    """Return the nonnegative solution and its standard errors."""
    from scipy.optimize import nnls  # slow to load, and only fits need it

    scale = np.linalg.norm(columns, axis=0)
    scaled = columns / scale
    solution, _ = nnls(scaled, wanted)
    freedom = max(1, len(wanted) - columns.shape[1])
    noise = float(np.sum((wanted - scaled @ solution) ** 2)) / freedom
    covariance = noise * np.linalg.pinv(scaled.T @ scaled)
    return solution / scale, np.sqrt(np.maximum(np.diag(covariance), 0.0)) / scale


def _near(predicted: Floats) -> NDArray[np.bool_]:
    """Return which intervals the solution is about; all times are 1 in *predicted*'s unit."""
    residuals = np.abs(predicted - 1)
    far = _FAR_DEVIATIONS * _DEVIATION_RATIO * float(np.median(residuals))
    return np.asarray(residuals <= max(far, 1e-9))


def _with(role: Role, engine: EngineModel, solution: _Solution) -> EngineModel:
    numbers = [float(value) for value in solution.values]
    prefill, decode = engine.prefill, engine.decode
    if role is not Role.PREFILL:
        decode = DecodeLaw(
            base_seconds=numbers[-3], request_seconds=numbers[-2], kv_token_seconds=numbers[-1]
        )
    if role is not Role.DECODE:
        base = numbers[0]
        # A step with both in it pays the larger base, so only a larger one is seen.
        if role is Role.AGGREGATED and (solution.errors[0] is None or base <= decode.base_seconds):
            base = min(prefill.base_seconds, max(base, decode.base_seconds))
        prefill = PrefillLaw(
            base_seconds=base, token_seconds=numbers[1], token_squared_seconds=numbers[2]
        )
    return replace(engine, prefill=prefill, decode=decode)


def _error(role: Role, engine: EngineModel, intervals: Sequence[StepSums]) -> float:
    errors = [abs(model_seconds(role, engine, s) / s.seconds - 1) for s in intervals]
    return sum(errors) / len(errors)
