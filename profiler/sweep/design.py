"""Which point to take next: the one that makes what matters most certain.

The law is linear in its coefficients and the rest of an engine's behaviour is a smooth departure
of a few percent from it. Both together give every load a predictive variance; the next point is
the one that lowers the weighted sum of these the most.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]

# Standard deviations in relative terms: of a law's term before anything is measured, of the
# departure from the law, and of a point's mean.
_TERM = 1.0
_DEPARTURE = 0.04
_NOISE = 0.012
# Loads this far apart, with the whole range as 1, depart from the law independently.
_LENGTH = 0.35


@dataclass(frozen=True, slots=True, kw_only=True)
class Place:
    """A load as the design sees it: the law's terms over the time, and where it lies (0 to 1)."""

    terms: tuple[float, ...]
    at: tuple[float, ...]


def best_next(
    candidates: Sequence[Place],
    taken: Sequence[Place],
    *,
    goals: Sequence[Place],
    weights: Sequence[float],
) -> int:
    """Return the index of the candidate that lowers the weighted variance at *goals* the most."""
    places = [*goals, *candidates, *taken]
    covariance = _covariance(places)
    known = np.arange(len(goals) + len(candidates), len(places))
    inverse = np.linalg.inv(covariance[np.ix_(known, known)] + _NOISE**2 * np.identity(len(known)))
    across = covariance[:, known]
    after = covariance - across @ inverse @ across.T
    rows = np.arange(len(goals))
    columns = np.arange(len(goals), len(goals) + len(candidates))
    variance = np.maximum(np.diag(after)[columns], 0.0)
    lowered = after[np.ix_(rows, columns)] ** 2 / (variance + _NOISE**2)
    gain = np.asarray(weights, dtype=float) @ lowered
    return int(np.argmax(gain))


def _covariance(places: Sequence[Place]) -> Floats:
    terms = np.array([place.terms for place in places])
    terms = _TERM * terms / np.maximum(np.abs(terms).max(axis=0), 1e-300)
    at = np.array([place.at for place in places])
    distance = ((at[:, None, :] - at[None, :, :]) / _LENGTH) ** 2
    departure: Floats = np.exp(-distance.sum(axis=2) / 2)
    covariance: Floats = terms @ terms.T + _DEPARTURE**2 * departure
    return covariance
