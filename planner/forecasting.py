"""Forecasts by fitted models, for comparison: ARIMA and exponential smoothing of statsmodels.

They need the extra ``forecast`` and 0.1 s a fit, so nothing that decides imports this module;
benchmarks/forecasts.py holds them against the forecasters of `planner.core.forecast`.
"""

import warnings
from collections.abc import Sequence
from enum import StrEnum

import numpy as np
import numpy.typing as npt

from planner.errors import ConfigError

_ARIMA_ORDER = (1, 1, 1)
# Fewer values than this are no history to fit: the last one is the forecast.
_FEWEST = 30


class FittedModel(StrEnum):
    """A model with parameters that are fitted to the recent past."""

    ARIMA = "arima"
    """ARIMA(1,1,1)."""
    ETS = "ets"
    """Exponential smoothing with an additive, damped trend."""


def fitted_path(values: Sequence[float], model: FittedModel, *, steps: int) -> list[float]:
    """Return what *model*, fitted to *values*, forecasts for the next *steps* values, at least 0.

    A history that is short, constant or that no fit converges for gives its last value. Raises
    ConfigError when statsmodels is not installed.
    """
    history = np.asarray(values, dtype=np.float64)
    if len(history) < _FEWEST or np.ptp(history) == 0:
        return [float(history[-1]) if len(history) else 0.0] * steps
    try:
        path = _path(history, model, steps)
    except (ValueError, ArithmeticError, np.linalg.LinAlgError):
        path = np.full(steps, np.nan)
    return [float(v) for v in np.clip(np.where(np.isfinite(path), path, history[-1]), 0.0, None)]


def fitted_forecasts(
    values: Sequence[float],
    model: FittedModel,
    *,
    steps: int,
    history: int = 360,
    every: int = 12,
) -> list[float]:
    """Return, for each of *values*, the forecast made then for *steps* values later.

    The model is fitted to the last *history* values at every *every*-th of them; in between, the
    fitted path goes on. Raises ConfigError when statsmodels is not installed.
    """
    forecasts: list[float] = []
    while (made := len(forecasts)) < len(values):
        past = values[max(0, made + 1 - history) : made + 1]
        path = fitted_path(past, model, steps=steps + every - 1)
        forecasts.extend(path[steps - 1 :])
    return forecasts[: len(values)]


def _path(
    history: npt.NDArray[np.float64], model: FittedModel, steps: int
) -> npt.NDArray[np.float64]:
    try:
        from statsmodels.tsa.arima.model import ARIMA  # an extra, and 4 s to import
        from statsmodels.tsa.holtwinters import ExponentialSmoothing
    except ImportError:
        raise ConfigError(
            f"forecasts by {model} need statsmodels, which is not installed",
            hint="pip install 'planner[forecast]'",
        ) from None
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # a fit that did not converge is still a forecast
        if model is FittedModel.ARIMA:
            fitted = ARIMA(history, order=_ARIMA_ORDER).fit(method="innovations_mle")
        else:
            fitted = ExponentialSmoothing(history, trend="add", damped_trend=True).fit()
        return np.asarray(fitted.forecast(steps), dtype=np.float64)
