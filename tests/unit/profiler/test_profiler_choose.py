"""The choice by goodput per GPU, and what an SLA that nothing meets comes to."""

from dataclasses import replace
from itertools import groupby, pairwise

import pytest

from planner.core.profile import Parallelism
from planner.core.role import Role
from planner.core.sizing import size
from planner.core.sla import Sla
from planner.core.workload import Workload
from planner.profiles import load_profile
from profiler.choose import choose
from profiler.pareto import operations

QWEN = load_profile("qwen3-32b-h200")
SMALL = replace(QWEN, engines=QWEN.engines[:2])
LOAD = Workload(rate_rps=0, isl=3000, osl=300)
LOOSE = Sla(ttft_seconds=2.0, itl_seconds=0.05)


@pytest.mark.parametrize(
    "sla",
    [
        pytest.param(LOOSE, id="loose"),
        pytest.param(Sla(ttft_seconds=0.6, itl_seconds=0.02), id="tight"),
        pytest.param(Sla(itl_seconds=0.03), id="itl alone"),
        pytest.param(Sla(ttft_seconds=1.0), id="ttft alone"),
    ],
)
def test_it_is_what_sizing_finds_at_the_same_load(sla):
    choice = choose(SMALL, sla, LOAD)
    assert choice.best is not None
    sizing = size(SMALL, sla, choice.workload)
    assert choice.best.sizing.gpus == sizing.gpus
    assert min(t.sizing.gpus for t in choice.topologies) == sizing.gpus


def test_a_rate_that_is_given_is_kept():
    choice = choose(SMALL, LOOSE, replace(LOAD, rate_rps=3.0))
    assert choice.workload.rate_rps == 3.0
    assert choice.best is not None
    goodput = 3.0 * choice.best.sizing.attainment / choice.best.sizing.gpus
    assert choice.best.goodput_per_gpu == goodput


def test_the_ratio_of_prefill_to_decode_is_that_of_the_fleet():
    apart = next(t for t in choose(SMALL, LOOSE, LOAD).topologies if Role.PREFILL in t.sizing.roles)
    together = next(
        t for t in choose(SMALL, LOOSE, LOAD).topologies if Role.AGGREGATED in t.sizing.roles
    )
    roles = apart.sizing.roles
    assert apart.prefill_per_decode == roles[Role.PREFILL].replicas / roles[Role.DECODE].replicas
    assert together.prefill_per_decode is None


def test_a_looser_itl_never_lowers_goodput():
    load = replace(LOAD, rate_rps=20.0)
    found = [choose(SMALL, Sla(ttft_seconds=2.0, itl_seconds=itl), load) for itl in
             (0.015, 0.02, 0.03, 0.05)]  # fmt: skip
    gpus = [min(t.sizing.gpus for t in choice.topologies) for choice in found]
    assert all(a >= b for a, b in pairwise(gpus))


def test_a_target_that_nothing_meets_names_one_that_is_met():
    tight = Sla(ttft_seconds=0.01, itl_seconds=0.001)
    choice = choose(QWEN, tight, LOAD)
    assert choice.best is None
    assert choice.infeasible is not None
    assert choice.nearest is not None
    assert choice.nearest.itl_seconds > tight.itl_seconds
    assert choose(QWEN, choice.nearest, LOAD).best is not None


@pytest.mark.parametrize(
    "isl", [pytest.param(2e6, id="not in memory"), pytest.param(5e5, id="not within an hour")]
)
def test_requests_that_no_target_helps_have_no_nearest(isl):
    slow = replace(SMALL.engines[1].engine.prefill, token_seconds=0.01)
    engine = replace(SMALL.engines[1].engine, prefill=slow)
    profile = replace(SMALL, engines=(replace(SMALL.engines[1], engine=engine),))
    choice = choose(profile, LOOSE, replace(LOAD, isl=isl))
    assert choice.best is None
    assert choice.nearest is None
    assert choice.infeasible


def test_every_role_is_compared_at_every_parallelism():
    candidates = choose(QWEN, LOOSE, LOAD).candidates
    assert len(candidates) == len(Role) * len(QWEN.engines)
    assert all(c.rps_per_gpu > 0 for c in candidates)


def test_more_for_a_gpu_is_less_for_each_user():
    found = operations(QWEN.engines, context_tokens=3150)
    assert {o.parallelism for o in found} == {Parallelism(tp=tp) for tp in (1, 2, 4, 8)}
    for _, mine in groupby(found, key=lambda o: o.parallelism):
        assert all(a.per_user > b.per_user and a.per_gpu < b.per_gpu for a, b in pairwise(mine))
    assert operations(QWEN.engines, context_tokens=1e9) == ()
