"""The demand that arrivals in bins show."""

from math import isfinite

from planner.core.observation import Arrivals
from planner.core.role import Role
from planner.core.shown import Recent, Target, by_arrivals
from planner.core.sla import Sla
from planner.core.workload import Workload
from planner.profiles import load_profile

ENGINE = load_profile("llama-3.1-8b-fp8-h200").at().engine


def test_an_engine_that_holds_no_request_leaves_demand_finite():
    sla = Sla(itl_seconds=ENGINE.decode.base_seconds / 2)
    workload = Workload(rate_rps=1.0, isl=1000.0, osl=200.0)
    target = Target(role=Role.DECODE, engine=ENGINE, sla=sla, workload=workload)
    arrivals = Arrivals(
        bin_seconds=0.25, counts=(0, 2, 0), isl=(0, 2000, 0), isl_squared=(0, 2_000_000, 0)
    )
    recent = Recent()
    for _ in range(3):
        demands, recent = by_arrivals(target, recent, arrivals)
        assert all(isfinite(demand) and demand > 1 for demand in demands)
