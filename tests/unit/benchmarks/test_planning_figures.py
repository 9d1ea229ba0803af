"""What the comparison of policies makes of its rows."""

import importlib
from pathlib import Path
from types import ModuleType

import pytest

PLANNING = Path(__file__).parents[3] / "benchmarks" / "planning"
CURVE = (("planner", 0.8, 0.97, 8.0), ("planner", 1.0, 0.98, 10.0), ("planner", 1.2, 1.0, 14.0))


@pytest.fixture
def figures(monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    """Return the module as the benchmark sees it, among its own files."""
    monkeypatch.syspath_prepend(PLANNING)
    return importlib.import_module("figures")


def row(policy: str, headroom: float, attainment: float, gpu_hours: float, **more: object):
    usual = {"seed": 0, "cold_start_seconds": 90.0, "truth": "exact", "scale_actions": 1}
    told = {"policy": policy, "headroom": headroom, "attainment": attainment}
    return {**usual, **told, "gpu_hours": gpu_hours, **more}


@pytest.mark.parametrize(
    ("peers", "lead"),
    [
        pytest.param([("hpa", 1.0, 0.985, 12.0)], -0.005, id="99 % at 12 on the curve"),
        pytest.param([("hpa", 1.0, 0.995, 12.0)], 0.005, id="above the curve"),
        pytest.param([("hpa", 1.0, 0.9, 12.0), ("kpa", 1.0, 0.976, 9.0)], 0.001, id="the best"),
        pytest.param([("hpa", 1.0, 0.999, 30.0)], -0.001, id="dearer than all: its dear end"),
        pytest.param([("hpa", 1.0, 0.5, 7.0)], None, id="cheaper than all: not comparable"),
        pytest.param([], None, id="nobody to compare with"),
    ],
)
def test_lead_of_peers_at_equal_gpu_hours(figures, peers, lead) -> None:
    found = figures.below_peers([row(*one) for one in (*CURVE, *peers)])
    assert found == (None if lead is None else pytest.approx(lead))


@pytest.mark.parametrize(
    ("attainment", "hours"),
    [
        pytest.param(0.99, 12.0, id="halfway from 98 % at 10 to 100 % at 14"),
        pytest.param(0.98, 10.0, id="a point itself"),
        pytest.param(0.97, None, id="where the curve starts"),
        pytest.param(0.5, None, id="below the curve"),
    ],
)
def test_hours_at_an_attainment(figures, attainment, hours) -> None:
    assert figures.hours_at(attainment, [row(*one) for one in CURVE]) == hours


def test_settings_that_cost_more_and_attain_less_are_no_part_of_the_curve(figures) -> None:
    worse = row("planner", 0.7, 0.6, 12.0)
    rows = [*(row(*one) for one in CURVE), worse, row("hpa", 1.0, 0.985, 12.0)]
    assert figures.below_peers(rows) == pytest.approx(-0.005)


def test_the_default_and_the_crossing_of_the_target_over_the_oracle(figures) -> None:
    rows = [*(row(*one) for one in CURVE), row("oracle", 1.0, 0.99, 8.0)]
    assert figures.over_oracle(rows) == 1.25
    assert figures.over_oracle_at_target(rows) == 1.5


def test_other_cold_starts_and_wrong_profiles_are_no_part_of_a_curve(figures) -> None:
    rows = [row("planner", 1.0, 0.9, 1.0, cold_start_seconds=5.0), row(*CURVE[0])]
    rows.append(row("planner", 1.0, 0.9, 1.0, truth="20 % slower"))
    assert [one.headroom for one in figures.points(rows, "planner")] == [0.8]


def test_the_interval_of_a_mean(figures) -> None:
    one = figures.mean([1.0, 2.0, 3.0])
    assert (one.mean, one.least, one.seeds) == (2.0, 1.0, 3)
    assert one.half == pytest.approx(4.303 / 3**0.5, rel=1e-3)
    assert figures.mean([1.0]).half is None
