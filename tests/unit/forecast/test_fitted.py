"""Fitted models beside the core's forecasters; the fits themselves need the extra."""

import math
import sys

import pytest

from planner.errors import ConfigError
from planner.forecasting import FittedModel, fitted_forecasts, fitted_path

WAVE = [10 + 3 * math.sin(index / 9) + (index * 7 % 5) / 10 for index in range(200)]


@pytest.mark.parametrize("values", [[], [0.0, 2.0, 4.0], [3.0] * 100])
def test_too_little_to_fit_gives_the_last_value(values):
    assert fitted_path(values, FittedModel.ARIMA, steps=3) == [(values or [0.0])[-1]] * 3


def test_a_forecast_for_each_value_from_what_was_known_then():
    values = [float(index) for index in range(25)]
    # Too short to fit: the last value of each block of ten, for all of it.
    found = fitted_forecasts(values, FittedModel.ETS, steps=4, every=10)
    assert found == [0.0] * 10 + [10.0] * 10 + [20.0] * 5


def test_without_the_extra_it_is_named(monkeypatch):
    monkeypatch.setitem(sys.modules, "statsmodels.tsa.arima.model", None)
    with pytest.raises(ConfigError, match="forecasts by ets need statsmodels"):
        fitted_path(WAVE, FittedModel.ETS, steps=3)


@pytest.mark.parametrize("model", list(FittedModel))
def test_a_slow_wave_is_followed_for_a_step(model):
    pytest.importorskip("statsmodels")
    path = fitted_path(WAVE[:150], model, steps=5)
    assert len(path) == 5
    assert path[0] == pytest.approx(WAVE[150], abs=0.6)
