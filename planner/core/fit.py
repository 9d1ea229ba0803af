"""Fits the step-time laws to measured points; the profiler calls it, decisions never do.

Both laws are linear in nonnegative coefficients and fitted in relative error: a plain least
squares would trade a third of the short prompts' accuracy for nothing on the long ones.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from planner.core.engine import DecodeLaw, PrefillLaw
from planner.core.profile import DecodePoint, PrefillPoint
from planner.errors import ProfileError


@dataclass(frozen=True, slots=True, kw_only=True)
class FitError:
    """Relative errors of a law on the points it was fitted to, as shares of the measured time."""

    mean: float
    largest: float


def fit_prefill(
    points: Sequence[PrefillPoint], *, max_num_batched_tokens: int | None = None
) -> PrefillLaw:
    """Return the prefill law closest to *points*; raises ProfileError below three lengths.

    With the token budget of a step, a longer prompt pays the base once for each of its chunks, as
    in `EngineModel.prompt_seconds`; None takes every point for a single step.
    """
    if len({p.isl for p in points}) < 3:
        raise ProfileError(
            f"a prefill fit needs 3 different prompt lengths, got {len({p.isl for p in points})}",
            hint="measure more lengths",
        )
    isl = np.array([p.isl for p in points], dtype=float)
    steps = np.ones_like(isl)
    if max_num_batched_tokens is not None:
        steps = np.maximum(1.0, np.ceil(isl / max_num_batched_tokens))
    columns = np.column_stack([steps, isl, isl**2])
    base, linear, square = _fit(columns, np.array([p.ttft_seconds for p in points]))
    return PrefillLaw(base_seconds=base, token_seconds=linear, token_squared_seconds=square)


def fit_decode(points: Sequence[DecodePoint]) -> DecodeLaw:
    """Return the decode law closest to *points*; raises ProfileError below three points."""
    if len(points) < 3:
        raise ProfileError(
            f"a decode fit needs 3 points, got {len(points)}",
            hint="measure more concurrencies",
        )
    columns = np.array([[1.0, p.batch, p.kv_tokens] for p in points])
    base, request, kv_token = _fit(columns, np.array([p.itl_seconds for p in points]))
    return DecodeLaw(base_seconds=base, request_seconds=request, kv_token_seconds=kv_token)


def _fit(columns: NDArray[np.float64], seconds: NDArray[np.float64]) -> list[float]:
    """Return the nonnegative coefficients with the least relative squared error."""
    from scipy.optimize import nnls  # slow to load, and only fits need it

    relative = columns / seconds[:, None]
    scale = np.linalg.norm(relative, axis=0)
    solution, _ = nnls(relative / scale, np.ones_like(seconds))
    return [float(value) for value in solution / scale]


def prefill_error(law: PrefillLaw, points: Sequence[PrefillPoint]) -> FitError:
    """Return how far *law* is from *points*."""
    predicted = [law.base_seconds + law.marginal_seconds(p.isl) for p in points]
    return _error(predicted, [p.ttft_seconds for p in points])


def decode_error(law: DecodeLaw, points: Sequence[DecodePoint]) -> FitError:
    """Return how far *law* is from *points*."""
    predicted = [law.step_seconds(p.batch, p.kv_tokens) for p in points]
    return _error(predicted, [p.itl_seconds for p in points])


def _error(predicted: Sequence[float], measured: Sequence[float]) -> FitError:
    errors = [abs(p - m) / m for p, m in zip(predicted, measured, strict=True)]
    return FitError(mean=sum(errors) / len(errors), largest=max(errors))
