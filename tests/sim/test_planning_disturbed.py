"""What goes wrong on the way: late and lost metrics, dying replicas, drains that are cut short."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from planner.core.decide import Bounds, PolicyConfig
from planner.core.role import Role
from planner.core.sla import Sla
from planner.profiles import load_profile
from planner.sim.backtest import backtest, opening_fleet, scenario
from planner.sim.score import score
from planner.traces import head, open_trace
from planner.traces.synthetic import sine

pytestmark = pytest.mark.sim

PROFILE = load_profile("llama-3.1-8b-fp8-h200")
SLA = Sla(ttft_seconds=0.5, itl_seconds=0.05, attainment=0.99)
CONFIG = PolicyConfig(sla=SLA, cold_start_seconds=10.0)


@pytest.fixture(scope="module")
def trace():
    """A quarter of an hour of Azure's conversations, from 40 to 80 a second and back."""
    lengths = open_trace("bundled:azure-conv")
    return sine(lengths, seed=1, low=40.0, high=80.0, period=600.0, duration=900.0)


def replayed(trace, config, **disturbed):
    fleet = scenario(config, PROFILE, opening_fleet(trace, config, PROFILE))
    return backtest(trace, config, PROFILE, fleet=replace(fleet, **disturbed))


@pytest.mark.parametrize(
    "disturbed",
    [
        pytest.param({"metric_loss": 0.05, "metric_delay_seconds": 10.0}, id="late and lost looks"),
        pytest.param({"drain_timeout_seconds": 2.0}, id="drains cut short"),
        pytest.param({"noise": 0.1}, id="no two engines alike"),
    ],
)
def test_what_is_disturbed_costs_less_than_a_percent(trace, disturbed):
    calm, hit = (score(replayed(trace, CONFIG, **d), start_seconds=120.0) for d in ({}, disturbed))
    assert hit.attainment >= calm.attainment - 0.01


def test_a_fleet_that_loses_a_replica_is_whole_again_after_a_cold_start(trace):
    failed = replayed(trace, CONFIG, failures={Role.DECODE: [400.0], Role.PREFILL: [600.0]})
    for at in (400.0, 600.0):
        recovered = failed.arrival_seconds[failed.arrival_seconds >= at + 60.0]
        late = ~failed.within_sla[len(failed.arrival_seconds) - len(recovered) :]
        assert late[recovered < at + 120.0].mean() <= 0.01
    assert failed.completed == failed.requests
    assert failed.retried > 0


def fails(times):
    return st.lists(times, max_size=4).map(sorted)


@settings(max_examples=12, suppress_health_check=list(HealthCheck), deadline=None)
@given(
    least=st.tuples(st.integers(1, 2), st.integers(1, 2)),
    spare=st.integers(0, 4),
    failures=st.fixed_dictionaries(
        {role: fails(st.floats(1, 290)) for role in (Role.PREFILL, Role.DECODE)}
    ),
    disturbed=st.fixed_dictionaries(
        {
            "drain_timeout_seconds": st.none() | st.floats(0.1, 30),
            "metric_delay_seconds": st.floats(0, 12),
            "metric_loss": st.floats(0, 0.3),
            "seed": st.integers(0, 5),
        }
    ),
)
def test_bounds_and_budget_hold_at_every_instant(trace, least, spare, failures, disturbed):
    bounds = {
        role: Bounds(minimum=minimum, maximum=4)
        for role, minimum in zip((Role.PREFILL, Role.DECODE), least, strict=True)
    }
    budget = sum(least) + spare
    config = replace(CONFIG, bounds=bounds, max_gpus=budget, cold_start_seconds=5.0)
    result = replayed(head(trace, 300.0), config, failures=failures, **disturbed)
    assert result.peak_gpus <= budget
    for change in result.changes:
        for role, bound in bounds.items():
            assert change.fleet[role].current <= bound.maximum
    for plan in result.plans:
        assert plan.gpus.desired <= budget
        for role, bound in bounds.items():
            assert plan.desired[role] <= bound.maximum


def test_a_trace_of_looks_is_drawn_equally(trace):
    disturbed = {"metric_loss": 0.2, "noise": 0.2, "seed": 3}
    short = head(trace, 200.0)
    one, two = (replayed(short, CONFIG, **disturbed) for _ in range(2))
    assert one.changes == two.changes
    assert np.array_equal(one.finish_seconds, two.finish_seconds)
