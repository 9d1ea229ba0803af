"""What is remembered of the traffic."""

import pytest

from planner.core.observation import Traffic
from planner.core.role import Role
from planner.core.sla import Sla
from planner.core.traffic import Flows, late_roles, late_share, prompts

SMOOTH = {"running": None, "smoothing_seconds": 30.0}
SLA = Sla(ttft_seconds=0.2, itl_seconds=0.02)


def traffic(**values):
    blank = {
        "seconds": 5.0, "arrived": 0, "isl_sum": 0.0, "isl_squared_sum": 0.0,
        "finished": 0, "osl_sum": 0.0,
    }  # fmt: skip
    return Traffic(**{**blank, **values})


BUSY = traffic(
    arrived=50, isl_sum=50_000, isl_squared_sum=6e7, finished=40, osl_sum=8000,
    context_osl_sum=40 * 1100 * 200, within_sla=38,
)  # fmt: skip


def test_lengths_are_means_over_requests():
    flows = Flows().seen(BUSY, **SMOOTH).seen(traffic(), **SMOOTH)
    load = flows.workload(7.0)
    assert (load.rate_rps, load.isl, load.osl) == pytest.approx((7.0, 1000, 200))
    assert load.isl_mean_square == pytest.approx(1.2e6)
    assert load.context_tokens == pytest.approx(1100)


def test_outputs_are_unknown_until_a_request_has_finished():
    flows = Flows().seen(traffic(arrived=3, isl_sum=300), **SMOOTH)
    assert flows.workload(1.0) is None
    assert flows.workload(1.0, prompts_only=True).isl == 100


def test_an_idle_deployment_is_known_to_be_idle():
    load = Flows().seen(traffic(), **SMOOTH).workload(0.0)
    assert load.rate_rps == 0
    assert prompts(traffic()).rate_rps == 0


def test_without_squares_all_prompts_are_alike():
    load = prompts(traffic(arrived=10, isl_sum=5000))
    assert (load.rate_rps, load.isl, load.isl_variance) == (2.0, 500, 0)


@pytest.mark.parametrize(
    ("ttft", "itl", "blamed"),
    [
        pytest.param(0.18, 0.010, Role.PREFILL, id="TTFT is nearer to its target"),
        pytest.param(0.05, 0.019, Role.DECODE, id="ITL is nearer to its target"),
    ],
)
def test_late_requests_are_put_down_to_the_latency_nearest_to_its_target(ttft, itl, blamed):
    seen = traffic(ttft_sum=ttft * 40, ttft_count=40, itl_sum=itl * 40, itl_count=40)
    assert late_roles(seen, SLA, [Role.PREFILL, Role.DECODE]) == {blamed}
    assert late_roles(seen, SLA, [Role.AGGREGATED]) == {Role.AGGREGATED}


def test_the_late_share_is_unknown_when_nothing_finished():
    assert late_share(traffic()) is None
    assert late_share(BUSY) == pytest.approx(0.05)
