"""The best fixed fleet in hindsight holds the SLA, and with one replica less it would not."""

import numpy as np
import pytest

from planner.core.policy import PolicyConfig
from planner.core.role import Role
from planner.core.sla import Sla
from planner.profiles import load_profile
from planner.sim.backtest import opening_fleet, scenario, workload
from planner.sim.run import Scenario, simulate
from planner.sim.static import best_static
from planner.traces import Trace, amplify, open_trace, window

P, D, A = Role.PREFILL, Role.DECODE, Role.AGGREGATED
PROFILE = load_profile("llama-3.1-8b-fp8-h200")
CONFIG = PolicyConfig(sla=Sla.parse("ttft=200ms,itl=7ms"))


@pytest.fixture(scope="module")
def trace() -> Trace:
    whole = amplify(open_trace("bundled:azure-conv"), 9, rng=np.random.default_rng(5))
    return window(whole, start=100, duration=60)


@pytest.fixture(scope="module")
def fleet() -> Scenario:
    return scenario(CONFIG, PROFILE, {P: 1, D: 1})


def test_it_holds_and_no_role_can_spare_a_replica(trace, fleet):
    best = best_static(trace, fleet)
    assert best.attainment >= CONFIG.sla.attainment
    counts = {role: best.replicas(role)[0] for role in (P, D)}
    assert min(counts.values()) > 1
    for role in counts:
        smaller = Scenario(
            sla=CONFIG.sla, models=fleet.models, initial={**counts, role: counts[role] - 1}
        )
        assert simulate(trace, smaller).attainment < CONFIG.sla.attainment


def test_too_low_a_limit_gives_the_run_of_all_that_there_may_be(trace, fleet):
    best = best_static(trace, fleet, most={P: 1, D: 20})
    assert best.attainment < CONFIG.sla.attainment
    assert (best.replicas(P), best.replicas(D)) == ((1, 1), (20, 20))


def test_the_opening_fleet_holds_the_beginning(trace, fleet):
    opening = opening_fleet(trace, CONFIG, PROFILE)
    held = Scenario(sla=CONFIG.sla, models=fleet.models, initial=opening)
    assert simulate(trace, held).attainment > 0.9


def test_a_workload_has_the_moments_of_its_trace(trace):
    load = workload(trace)
    assert load.rate_rps == pytest.approx(len(trace) / trace.duration_seconds)
    assert load.isl_squared == pytest.approx((trace.isl.astype(float) ** 2).mean())
