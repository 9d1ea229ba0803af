"""Who forecasts nearest, on demand of which that is plain to see."""

from math import pi, sin

import pytest

from dashboards.summaries.forecasters import (
    FEWEST,
    TOGETHER,
    Ahead,
    error_rows,
    judged_ahead,
    ranking_rows,
)

STEP = 5.0
Demand = list[tuple[float, float]]


def demand(*values: float) -> Demand:
    return [(1000.0 + STEP * place, value) for place, value in enumerate(values)]


def judged(came: Demand, lead_seconds: float = 60.0) -> list[Ahead]:
    return judged_ahead(came, lead_seconds=lead_seconds, interval_seconds=STEP)


def test_a_constant_demand_is_known_by_all() -> None:
    for one in judged(demand(*[3.0] * 400)):
        assert set(one.errors) == {"last value", "level", "damped trend", TOGETHER}
        assert max(one.errors.values()) < 0.01


def test_the_level_lags_behind_a_slow_ramp() -> None:
    near, *_ = judged(demand(*[1 + place / 50 for place in range(600)]))
    assert near.errors["last value"] < near.errors["level"]


def test_the_error_of_the_last_value_is_what_the_wave_says() -> None:
    period = 240  # values: 20 minutes
    came = demand(*[10 + 5 * sin(2 * pi * place / period) for place in range(1200)])
    near = judged(came)[0]
    # |sin(x + d) - sin(x)| is 2 sin(d/2) |cos|, whose mean is 2/pi.
    expected = 5 * 2 * sin(2 * pi * 12 / period / 2) * 2 / pi / 10
    assert near.errors["last value"] == pytest.approx(expected, rel=0.02)


@pytest.mark.parametrize(
    ("lead", "horizons"),
    [
        pytest.param(65.0, [65.0, 300.0, 900.0], id="a minute and its like are one"),
        pytest.param(20.0, [20.0, 60.0, 300.0, 900.0], id="quick"),
        pytest.param(1200.0, [60.0, 300.0, 1200.0], id="slow"),
    ],
)
def test_horizons_are_the_lead_and_round_ones(lead: float, horizons: list[float]) -> None:
    came = demand(*[2.0] * 1500)
    assert [one.horizon_seconds for one in judged(came, lead)] == horizons


def test_too_short_a_history_judges_nobody() -> None:
    assert judged([]) == []
    assert judged(demand(*[1.0] * (12 + FEWEST))) == []
    assert [one.horizon_seconds for one in judged(demand(*[1.0] * 60))] == [60.0]
    assert judged(demand(*[0.0] * 400)) == []


def test_forecasts_into_a_gap_are_not_judged() -> None:
    whole = demand(*[1.0] * 100)
    later = [(at + 86400, value) for at, value in whole]
    (first,) = judged(whole)
    (both,) = [one for one in judged([*whole, *later]) if one.horizon_seconds == 60]
    assert first.judged < both.judged <= 2 * first.judged
    assert both.errors["last value"] == 0


NEAR = Ahead(horizon_seconds=65.0, judged=50, errors={"level": 0.2, "last value": 0.1})
FAR = Ahead(horizon_seconds=900.0, judged=30, errors={"level": 0.3})


def test_the_ranking_begins_with_the_nearest_and_marks_who_leads() -> None:
    assert ranking_rows([NEAR, FAR]) == [
        {"forecaster": "last value", "1m5s ahead": "10% (leads)", "15m ahead": "unknown"},
        {"forecaster": "level", "1m5s ahead": "20%", "15m ahead": "30% (leads)"},
    ]
    assert ranking_rows([]) == []


def test_a_line_for_each_forecaster() -> None:
    assert error_rows([NEAR, FAR]) == [
        {"x": 1.083, "value": 0.2, "series": "level", "told": "level, 1m5s ahead"},
        {"x": 1.083, "value": 0.1, "series": "last value", "told": "last value, 1m5s ahead"},
        {"x": 15.0, "value": 0.3, "series": "level", "told": "level, 15m ahead"},
    ]
