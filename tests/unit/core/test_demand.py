"""What a workload asks of engines, and the attainment that replicas bring it."""

from dataclasses import replace
from math import inf

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from planner.core.demand import batch_held, engine_share, prefill_seconds
from planner.core.predict import attainment, best_attainment, role_attainment
from planner.core.role import Role
from planner.core.sla import Sla
from planner.core.workload import Workload
from planner.profiles import load_profile

ENGINE = load_profile("llama-3.1-8b-fp8-h200").engine()
SLA = Sla(ttft_seconds=0.2, itl_seconds=0.02)
CHAT = Workload(rate_rps=20.0, isl=1155, osl=211)

roles = st.sampled_from(Role)
rates = st.floats(0.0, 500.0)
targets = st.none() | st.floats(0.001, 30.0)
attainments = st.floats(0.5, 0.999)


def busy_replicas(role, engine, sla, workload):
    """Return how many replicas the work keeps busy."""
    if not workload.rate_rps:
        return 0.0
    return workload.rate_rps * engine_share(role, engine, sla, workload)


@st.composite
def workloads(draw, rate=rates):
    isl = draw(st.floats(1, 30_000))
    return Workload(
        rate_rps=draw(rate),
        isl=isl,
        isl_squared=isl**2 * draw(st.floats(1.0, 4.0)),
        osl=draw(st.floats(1, 3000)),
    )


@st.composite
def slas(draw):
    ttft, itl = draw(targets), draw(targets)
    assume(ttft is not None or itl is not None)
    return Sla(ttft_seconds=ttft, itl_seconds=itl, attainment=draw(attainments))


def loosest(one, other):
    return None if one is None or other is None else max(one, other)


def loosened(one, other):
    """Return the tighter parts of neither; one target at least stays judged."""
    ttft = loosest(one.ttft_seconds, other.ttft_seconds)
    itl = loosest(one.itl_seconds, other.itl_seconds)
    assume(ttft is not None or itl is not None)
    least = min(one.attainment, other.attainment)
    return Sla(ttft_seconds=ttft, itl_seconds=itl, attainment=least)


def test_prefill_is_sized_on_the_work_of_each_prompt_not_on_the_mean():
    same = Workload(rate_rps=1.0, isl=12_035, osl=1)
    mixed = replace(same, isl_squared=12_035**2 * 3)
    assert prefill_seconds(ENGINE, mixed) > 1.3 * prefill_seconds(ENGINE, same)


def test_a_decode_replica_is_used_up_by_the_batch_that_just_meets_the_itl():
    batch = ENGINE.decode_batch(SLA.itl_seconds, CHAT.context_tokens)
    assert batch_held(Role.DECODE, ENGINE, SLA, CHAT) == pytest.approx(batch, abs=1)
    rate = 1 / engine_share(Role.DECODE, ENGINE, SLA, CHAT)
    assert rate == pytest.approx(batch / (CHAT.osl * 0.02), rel=0.01)


def test_an_aggregated_replica_holds_less_than_one_of_either_role():
    aggregated = busy_replicas(Role.AGGREGATED, ENGINE, SLA, CHAT)
    apart = sum(busy_replicas(role, ENGINE, SLA, CHAT) for role in (Role.PREFILL, Role.DECODE))
    assert aggregated > apart


def test_no_engine_holds_an_itl_below_its_own_base():
    assert busy_replicas(Role.DECODE, ENGINE, Sla(itl_seconds=0.004), CHAT) == inf


def test_no_load_needs_no_replicas():
    idle = replace(CHAT, rate_rps=0.0)
    for role in Role:
        assert busy_replicas(role, ENGINE, SLA, idle) == 0
        assert role_attainment(role, ENGINE, SLA, idle, replicas=0) == 1


@given(roles, slas(), workloads(), rates)
def test_more_demand_never_needs_fewer(role, sla, load, rate):
    low, high = sorted([load.rate_rps, rate])
    fewer = busy_replicas(role, ENGINE, sla, replace(load, rate_rps=low))
    more = busy_replicas(role, ENGINE, sla, replace(load, rate_rps=high))
    assert fewer <= more * (1 + 1e-9)


@given(roles, slas(), slas(), workloads())
def test_a_looser_sla_never_needs_more(role, one, other, load):
    loose = loosened(one, other)
    needed = busy_replicas(role, ENGINE, loose, load)
    assert needed <= busy_replicas(role, ENGINE, one, load) * (1 + 1e-9)


@given(roles, slas(), slas(), workloads(), st.integers(0, 200))
def test_a_looser_sla_never_predicts_less(role, one, other, load, replicas):
    loose = loosened(one, other)
    tight = role_attainment(role, ENGINE, one, load, replicas=replicas)
    assert role_attainment(role, ENGINE, loose, load, replicas=replicas) >= tight - 1e-9


@given(roles, slas(), workloads(), rates, st.integers(0, 200))
def test_attainment_falls_with_load_and_rises_with_replicas(role, sla, load, rate, replicas):
    low, high = sorted([load.rate_rps, rate])
    calm, busy = replace(load, rate_rps=low), replace(load, rate_rps=high)
    share = role_attainment(role, ENGINE, sla, busy, replicas=replicas)
    assert 0 <= share <= 1
    assert role_attainment(role, ENGINE, sla, calm, replicas=replicas) >= share - 1e-9
    assert role_attainment(role, ENGINE, sla, busy, replicas=replicas + 1) >= share - 1e-9
    assert best_attainment(role, ENGINE, sla, busy) >= share - 1e-9


def test_attainment_is_lost_by_any_role():
    engines = {Role.PREFILL: ENGINE, Role.DECODE: ENGINE}
    plenty = {Role.PREFILL: 9, Role.DECODE: 9}
    assert attainment(engines, SLA, CHAT, replicas=plenty) > 0.999
    assert attainment(engines, SLA, CHAT, replicas={Role.PREFILL: 9}) == 0
