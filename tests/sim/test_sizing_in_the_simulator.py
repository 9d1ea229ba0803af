"""The predicted attainment of a sized fleet is what the simulator finds, and one fewer misses."""

import numpy as np
import pytest

from planner.core.policy import AGGREGATED, DISAGGREGATED
from planner.core.predict import attainment
from planner.core.role import Role
from planner.core.sizing import size
from planner.core.sla import Sla
from planner.core.workload import Workload
from planner.profiles import load_profile
from planner.sim.run import Scenario, simulate
from planner.traces import Trace

pytestmark = pytest.mark.sim

PROFILE = load_profile("llama-3.1-8b-fp8-h200")


def poisson(load, *, seconds, output_spread):
    """Return lognormal requests that arrive at random."""
    rng = np.random.default_rng(7)
    count = rng.poisson(load.rate_rps * seconds)

    def lengths(mean, squared):
        variance = np.log(squared / mean**2)
        drawn = mean * np.exp(np.sqrt(variance) * rng.standard_normal(count) - variance / 2)
        return np.maximum(2, np.round(drawn)).astype(int)

    return Trace(
        name="poisson",
        arrival_seconds=np.sort(rng.uniform(0, seconds, count)),
        isl=lengths(load.isl, load.isl_mean_square),
        osl=lengths(load.osl, load.osl**2 * (1 + output_spread**2)),
        hash_ids=None,
    )


CHAT = {"isl": 1155, "osl": 211, "isl_squared": 1155**2 * 1.81}
LONG = {"isl": 3000, "osl": 300}
TIGHT = Sla(ttft_seconds=0.2, itl_seconds=0.02)
LOOSE = Sla(ttft_seconds=0.5, itl_seconds=0.015, attainment=0.95)

CASES = [
    pytest.param(TIGHT, {"rate_rps": 20.0, **CHAT}, DISAGGREGATED, id="few, mixed lengths"),
    pytest.param(TIGHT, {"rate_rps": 20.0, **LONG}, DISAGGREGATED, id="few, all long"),
    pytest.param(TIGHT, {"rate_rps": 100.0, **CHAT}, DISAGGREGATED, id="many, mixed lengths"),
    pytest.param(LOOSE, {"rate_rps": 60.0, **LONG}, DISAGGREGATED, id="a looser target"),
    pytest.param(TIGHT, {"rate_rps": 60.0, **CHAT}, AGGREGATED, id="aggregated"),
    pytest.param(LOOSE, {"rate_rps": 20.0, **LONG}, AGGREGATED, id="aggregated, all long"),
]


@pytest.mark.parametrize(("sla", "values", "roles"), CASES)
def test_a_sized_fleet_attains_what_was_predicted(sla, values, roles):
    load = Workload(**values)
    counts = {r: part.replicas for r, part in size(PROFILE, sla, load, roles=roles).roles.items()}
    trace = poisson(load, seconds=200.0, output_spread=0.9 if load.isl_variance else 0.0)

    def simulated(fleet):
        models = {role: PROFILE.engine() for role in fleet}
        return simulate(trace, Scenario(sla=sla, models=models, initial=fleet)).attainment

    found = simulated(counts)
    engines = {role: PROFILE.engine() for role in counts}
    assert found == pytest.approx(attainment(engines, sla, load, replicas=counts), abs=0.02)
    assert found >= sla.attainment - 0.01
    for role in (Role.DECODE, Role.AGGREGATED):
        if counts.get(role, 1) > 1:
            assert simulated({**counts, role: counts[role] - 1}) < sla.attainment + 0.005
