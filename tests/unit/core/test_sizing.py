"""Sizing a steady load: the fewest GPUs, and what no number of them can do."""

from dataclasses import replace

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from planner.core.feasibility import infeasible, nearest_feasible
from planner.core.policy import AGGREGATED, DISAGGREGATED
from planner.core.predict import attainment
from planner.core.profile import Parallelism
from planner.core.role import Role
from planner.core.sizing import size, with_long_prompts
from planner.core.sla import Sla
from planner.core.workload import Workload
from planner.errors import ConfigError, SlaInfeasible
from planner.profiles import load_profile

LLAMA = load_profile("llama-3.1-8b-fp8-h200")
QWEN = load_profile("qwen3-32b-h200")
SLA = Sla(ttft_seconds=0.2, itl_seconds=0.02)
CHAT = Workload(rate_rps=20.0, isl=3000, osl=300)

topologies = st.sampled_from([AGGREGATED, DISAGGREGATED])


@st.composite
def workloads(draw):
    isl = draw(st.floats(10, 8000))
    return Workload(
        rate_rps=draw(st.floats(0.0, 100.0)),
        isl=isl,
        isl_squared=isl**2 * draw(st.floats(1.0, 2.0)),
        osl=draw(st.floats(20, 1000)),
    )


@st.composite
def slas(draw):
    return Sla(
        ttft_seconds=draw(st.none() | st.floats(0.02, 5.0)),
        itl_seconds=draw(st.floats(0.004, 0.1)),
        attainment=draw(st.floats(0.8, 0.999)),
    )


def sized(sla, load, **options):
    try:
        return size(LLAMA, sla, load, **options)
    except SlaInfeasible:
        return None


def test_a_worked_example():
    sizing = size(LLAMA, SLA, CHAT, roles=DISAGGREGATED)
    # Prefill: 46.8 ms of work a prompt and 8.3 of a shared base hold 18.2/s; 1.1 engines are busy.
    # A prompt that another's step holds up misses 200 ms, so it takes four to hold 99 % of them.
    prefill = sizing.roles[Role.PREFILL]
    assert prefill.capacity_rps == pytest.approx(18.2, abs=0.1)
    assert prefill.replicas == 4
    # Decode: 300 tokens of 0.13 ms each at 78 % of the time: 19.6 requests a second.
    decode = sizing.roles[Role.DECODE]
    assert decode.capacity_rps == pytest.approx(19.6, abs=0.1)
    assert decode.replicas == 2
    assert sizing.gpus == 6
    assert sizing.attainment >= 0.99
    assert sizing.cost_per_hour is None


def test_a_price_makes_a_cost():
    priced = replace(LLAMA, gpu_price_per_hour=3.5)
    assert size(priced, SLA, CHAT, roles=DISAGGREGATED).cost_per_hour == pytest.approx(21.0)


def test_each_role_gets_the_parallelism_with_the_fewest_gpus():
    sizing = size(QWEN, Sla(ttft_seconds=0.3, itl_seconds=0.012), CHAT, roles=DISAGGREGATED)
    assert sizing.roles[Role.PREFILL].parallelism.tp > 1
    fixed = {role: Parallelism(tp=8) for role in DISAGGREGATED}
    wide = size(
        QWEN,
        Sla(ttft_seconds=0.3, itl_seconds=0.012),
        CHAT,
        roles=DISAGGREGATED,
        parallelism=fixed,
    )
    assert wide.gpus >= sizing.gpus
    assert {role.parallelism.tp for role in wide.roles.values()} == {8}


def test_without_roles_the_cheaper_topology_is_taken():
    cheapest = size(LLAMA, SLA, CHAT)
    both = [size(LLAMA, SLA, CHAT, roles=roles) for roles in (AGGREGATED, DISAGGREGATED)]
    assert cheapest.gpus == min(sizing.gpus for sizing in both)


def test_roles_that_make_no_deployment_are_refused():
    with pytest.raises(ConfigError, match="roles decode: a fleet is aggregated, or prefill"):
        size(LLAMA, SLA, CHAT, roles=[Role.DECODE])


@pytest.mark.parametrize(
    ("sla", "nearest"),
    [
        pytest.param("ttft=50ms,itl=20ms", "ttft=84ms,itl=20ms,attainment=99%", id="ttft"),
        pytest.param("ttft=200ms,itl=4ms", "ttft=200ms,itl=5ms,attainment=99%", id="itl"),
        pytest.param("ttft=1ms,itl=1ms", "ttft=84ms,itl=5ms,attainment=99%", id="both"),
    ],
)
def test_an_sla_that_no_replicas_meet_is_told_with_the_nearest(sla, nearest):
    with pytest.raises(SlaInfeasible) as caught:
        size(LLAMA, Sla.parse(sla), CHAT, roles=DISAGGREGATED)
    assert "no number of replicas meets it for prompts of 3000 tokens" in str(caught.value)
    assert str(caught.value).endswith(f"the nearest that is met is {nearest}")
    assert caught.value.hint == f"--sla {nearest}"


def test_an_sla_of_which_no_target_within_an_hour_is_met_is_told_as_that():
    model = LLAMA.engine()
    slow = replace(model, prefill=replace(model.prefill, base_seconds=4000.0))
    told = str(infeasible({Role.PREFILL: [slow]}, SLA, CHAT))
    assert told.endswith("and the nearest that is met is no target any more")


def test_a_request_larger_than_the_cache_is_told_as_that():
    with pytest.raises(SlaInfeasible, match="a request of 1000100 tokens does not fit"):
        size(LLAMA, SLA, Workload(rate_rps=1, isl=1_000_000, osl=100), roles=DISAGGREGATED)


@given(slas(), workloads(), topologies)
def test_the_sizing_holds_the_sla_and_one_fewer_of_any_role_would_not(sla, load, roles):
    sizing = sized(sla, load, roles=roles)
    assume(sizing is not None)
    engines = {role: LLAMA.engine() for role in roles}
    counts = {role: found.replicas for role, found in sizing.roles.items()}
    assert attainment(engines, sla, load, replicas=counts) >= sla.attainment
    assert sizing.gpus == sum(counts.values())
    for role, count in counts.items():
        if count > 1 and load.rate_rps:
            fewer = attainment(engines, sla, load, replicas={**counts, role: count - 1})
            assert fewer < sla.attainment or len(roles) > 1


@given(slas(), workloads(), topologies, st.floats(0.0, 300.0))
def test_more_demand_never_needs_fewer(sla, load, roles, rate):
    low, high = sorted([load.rate_rps, rate])
    more = sized(sla, replace(load, rate_rps=high), roles=roles)
    fewer = sized(sla, replace(load, rate_rps=low), roles=roles)
    if more is None:
        return
    assert fewer is not None
    assert fewer.gpus <= more.gpus


@given(slas(), slas(), workloads(), topologies)
def test_a_looser_sla_never_needs_more(one, other, load, roles):
    ttfts = (one.ttft_seconds, other.ttft_seconds)
    loose = Sla(
        ttft_seconds=None if None in ttfts else max(ttfts),
        itl_seconds=max(one.itl_seconds, other.itl_seconds),
        attainment=min(one.attainment, other.attainment),
    )
    tight = sized(one, load, roles=roles)
    if tight is None:
        return
    found = sized(loose, load, roles=roles)
    assert found is not None
    assert found.gpus <= tight.gpus


@given(slas(), workloads(), topologies)
def test_the_nearest_feasible_sla_is_feasible(sla, load, roles):
    nearest = nearest_feasible({role: [LLAMA.engine()] for role in roles}, sla, load)
    assert sized(nearest, load, roles=roles) is not None
    if sized(sla, load, roles=roles) is not None:
        assert nearest.itl_seconds == sla.itl_seconds


@given(workloads(), slas(), st.floats(10, 8000), topologies)
def test_longer_prompts_never_need_fewer(load, sla, isl, roles):
    short, long = sorted([load.isl, isl])
    fixed = replace(load, isl_squared=None)
    more = sized(sla, replace(fixed, isl=long), roles=roles)
    if more is None:
        return
    fewer = sized(sla, replace(fixed, isl=short), roles=roles)
    assert fewer is not None
    assert fewer.gpus <= more.gpus


def test_one_replica_fewer_or_more_is_told():
    sizing = size(LLAMA, SLA, CHAT, roles=DISAGGREGATED)
    engines = {role: LLAMA.engine() for role in DISAGGREGATED}
    counts = {role: part.replicas for role, part in sizing.roles.items()}
    for role, part in sizing.roles.items():
        for more, told in ((-1, part.one_fewer), (1, part.one_more)):
            changed = {**counts, role: counts[role] + more}
            assert told == pytest.approx(attainment(engines, SLA, CHAT, replicas=changed))
        assert part.one_fewer < SLA.attainment <= part.one_more


def test_a_single_replica_has_no_fewer():
    sizing = size(LLAMA, SLA, replace(CHAT, rate_rps=0.1), roles=AGGREGATED)
    assert sizing.roles[Role.AGGREGATED].one_fewer is None


def test_the_other_topology_is_told_beside_the_cheaper():
    cheapest = size(LLAMA, SLA, CHAT)
    assert cheapest.alternative.gpus >= cheapest.gpus
    assert set(cheapest.alternative.roles) ^ set(cheapest.roles) == set(Role)
    assert size(LLAMA, SLA, CHAT, roles=AGGREGATED).alternative is None


def test_long_prompts_have_the_percentile_that_was_told():
    load = with_long_prompts(CHAT, 9000)
    assert load.isl == CHAT.isl
    assert load.isl_quantile(0.99) == pytest.approx(9000)
    loose = replace(SLA, ttft_seconds=2.0)
    assert size(LLAMA, loose, load).gpus >= size(LLAMA, loose, CHAT).gpus


@pytest.mark.parametrize("isl_p99", [pytest.param(2999, id="below"), pytest.param(1e6, id="far")])
def test_prompts_that_no_lognormal_has_are_refused(isl_p99):
    with pytest.raises(ConfigError, match="must be 1 to 15 times the mean of 3000"):
        with_long_prompts(CHAT, isl_p99)
