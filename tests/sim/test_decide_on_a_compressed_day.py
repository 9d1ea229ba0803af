"""`decide` follows a day of real lengths and bursts, compressed into minutes."""

from collections.abc import Mapping

import numpy as np
import pytest

from planner.core.policy import Bounds, PolicyConfig
from planner.core.role import Role
from planner.core.sla import Sla
from planner.profiles import load_profile
from planner.sim.backtest import backtest, opening_fleet, scenario
from planner.sim.result import SimResult
from planner.sim.static import best_static
from planner.traces import Trace, amplify, open_trace, swing

pytestmark = pytest.mark.sim

PROFILE = load_profile("llama-3.1-8b-fp8-h200")
SLA = Sla.parse("ttft=200ms,itl=20ms")
QUICK = {"sla": SLA, "cold_start_seconds": 2.0, "interval_seconds": 1.0}


@pytest.fixture(scope="module")
def day() -> Trace:
    """Nine minutes with two peaks at ten times the trough: up to 150 requests a second."""
    trace = amplify(open_trace("bundled:azure-conv"), 30, rng=np.random.default_rng(1))
    return swing(trace, low=0.1, high=1.0, period=270.0)


def run(day: Trace, config: PolicyConfig) -> SimResult:
    fleet = scenario(config, PROFILE, opening_fleet(day, config, PROFILE))
    return backtest(day, config, PROFILE, fleet=fleet)


def most(result: SimResult) -> Mapping[Role, int]:
    return {role: result.replicas(role)[1] for role in result.gpus_per_replica}


@pytest.mark.parametrize(
    ("cold_start_seconds", "interval_seconds", "attainment"),
    [
        pytest.param(2.0, 1.0, 0.99, id="quick starts"),
        pytest.param(10.0, 2.0, 0.92, id="slow starts for such a short day"),
    ],
)
def test_it_keeps_most_requests_inside_the_sla_for_less_than_its_peak_fleet(
    day, cold_start_seconds, interval_seconds, attainment
):
    # What is late is late in the first rise, where the load doubles every ten seconds and nothing
    # was learned yet.
    config = PolicyConfig(
        sla=SLA, cold_start_seconds=cold_start_seconds, interval_seconds=interval_seconds
    )
    result = run(day, config)
    assert result.failed == 0
    assert result.completed == len(day)
    assert result.attainment >= attainment
    assert result.gpu_seconds < 0.75 * sum(most(result).values()) * result.duration_seconds
    for role, count in most(result).items():
        assert count >= 3, f"{role} never had to grow"
        assert result.replicas(role)[0] <= 2, f"{role} never shrank"


def test_with_quick_starts_it_costs_less_than_the_best_fixed_fleet_in_hindsight(day):
    config = PolicyConfig(**QUICK)
    static = best_static(day, scenario(config, PROFILE, {}))
    assert static.attainment >= SLA.attainment
    assert run(day, config).gpu_seconds < static.gpu_seconds


@pytest.mark.parametrize("budget", [4, 9, 14])
def test_no_instant_holds_more_gpus_than_the_budget(day, budget):
    result = run(day, PolicyConfig(**QUICK, max_gpus=budget))
    assert result.peak_gpus <= budget
    assert any(plan.gpus.desired == budget for plan in result.plans), "the budget never bound"


def test_no_instant_has_fewer_or_more_replicas_than_the_bounds(day):
    bounds = {
        Role.PREFILL: Bounds(minimum=2, maximum=4),
        Role.DECODE: Bounds(minimum=3, maximum=5),
    }
    result = run(day, PolicyConfig(**QUICK, bounds=bounds))
    for role, bound in bounds.items():
        assert result.replicas(role) == (bound.minimum, bound.maximum)


def test_every_change_of_the_fleet_was_decided(day):
    result = run(day, PolicyConfig(**QUICK))
    decided = sum(
        decision.desired != decision.current
        for plan in result.plans
        for decision in plan.decisions.values()
    )
    assert result.scale_actions == decided > 10
    for plan in result.plans:
        for decision in plan.decisions.values():
            reached = [decision.current, *(step.after for step in decision.steps)]
            assert decision.steps, "a number without a reason"
            assert reached[-1] == decision.desired


def test_equal_days_are_decided_equally(day):
    config = PolicyConfig(**QUICK)
    one, two = run(day, config), run(day, config)
    assert one.plans == two.plans
    assert one.changes == two.changes
    assert np.array_equal(one.finish_seconds, two.finish_seconds)
