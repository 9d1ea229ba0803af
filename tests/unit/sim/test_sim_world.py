"""Routing, prefix caches, failures and noise: what a scenario can add to the plain fleet."""

from collections import Counter
from dataclasses import replace

import numpy as np
import pytest

from planner.core.role import Role
from planner.core.sla import Sla
from planner.profiles import load_profile
from planner.sim.run import Scenario, simulate
from planner.sim.scenario import Router

P, D, A = Role.PREFILL, Role.DECODE, Role.AGGREGATED
ENGINE = load_profile("llama-3.1-8b-fp8-h200").engine()
MODEL = replace(ENGINE, limits=replace(ENGINE.limits, kv_capacity_tokens=100_000))
SLA = Sla(ttft_seconds=0.2, itl_seconds=0.02)
DISAGGREGATED = Scenario(sla=SLA, models={P: MODEL, D: MODEL}, initial={P: 2, D: 3})
ONE = Scenario(sla=SLA, models={A: MODEL}, initial={A: 1})


# --- routing ------------------------------------------------------------------------------------


@pytest.mark.parametrize("router", Router)
def test_every_router_serves_all_and_the_same_again(random_trace, router):
    scenario = replace(DISAGGREGATED, router=router, seed=5)
    one, two = simulate(random_trace(), scenario), simulate(random_trace(), scenario)
    assert one.completed == 400
    assert np.array_equal(one.finish_seconds, two.finish_seconds)


def test_round_robin_ignores_load_where_least_loaded_does_not(requests_at):
    trace = requests_at(*np.arange(40) * 0.3, isl=1000, osl=2)
    trace.osl[::2] = 2000  # every second request is long: one of two engines gets all of them
    two = replace(ONE, initial={A: 2})
    turns = simulate(trace, replace(two, router=Router.ROUND_ROBIN))
    fewest = simulate(trace, two)
    assert np.nanmax(turns.itl_seconds) > np.nanmax(fewest.itl_seconds)


def test_another_seed_draws_other_engines(random_trace):
    random = replace(DISAGGREGATED, router=Router.RANDOM)
    runs = [simulate(random_trace(), replace(random, seed=seed)) for seed in (1, 2)]
    assert not np.array_equal(runs[0].finish_seconds, runs[1].finish_seconds)


# --- prefix cache -------------------------------------------------------------------------------

TURNS = ((1, 2), (1, 2), (1, 3), (9, 2))


def test_a_cached_prefix_is_not_computed_again(requests_at, watched):
    trace = requests_at(0.0, 5.0, 10.0, 15.0, isl=1024, hash_ids=TURNS)
    result, seen = watched(trace, replace(ONE, prefix_cache=True))
    computed = [o.load[A].steps.prefilled for o in seen[1:]]
    # All but one token of an equal prompt, one block of two, none under another first block.
    assert sorted(filter(None, computed)) == sorted([1024, 1, 512, 1024])
    assert result.ttft_seconds[1] < result.ttft_seconds[2] < result.ttft_seconds[0]
    plain = simulate(trace, ONE)
    assert np.ptp(plain.ttft_seconds) < 1e-9


def test_only_the_uncached_rest_is_prefilled_elsewhere(requests_at, watched):
    trace = requests_at(0.0, 5.0, 10.0, isl=1024, hash_ids=TURNS[:3])
    scenario = replace(DISAGGREGATED, initial={P: 1, D: 1}, prefix_cache=True)
    _, seen = watched(trace, scenario)
    computed = sum(o.load[P].steps.prefilled for o in seen[1:])
    assert computed == 1024 + 1 + 512


def test_the_longest_unused_blocks_make_room(requests_at):
    many = tuple((i,) for i in range(300))  # 100,000 tokens hold 195 blocks
    trace = requests_at(*np.arange(303) * 1.0, isl=512, hash_ids=(*many, (299,), (0,), (299,)))
    result = simulate(trace, replace(ONE, prefix_cache=True))
    newest, oldest, again = result.ttft_seconds[300:]
    assert newest == pytest.approx(again)
    assert oldest == pytest.approx(result.ttft_seconds[0])
    assert newest < oldest


def test_kv_routing_goes_to_the_engine_that_has_the_prefix(requests_at):
    ids = tuple((i % 4,) for i in range(80))
    trace = requests_at(*np.arange(80) * 1.0, isl=512, hash_ids=ids)
    scenario = replace(ONE, initial={A: 4}, prefix_cache=True)
    kv = simulate(trace, replace(scenario, router=Router.KV))
    random = simulate(trace, replace(scenario, router=Router.RANDOM))
    misses = [(run.ttft_seconds > 1.01 * run.ttft_seconds.min()).sum() for run in (kv, random)]
    assert misses[0] == 4 < misses[1]


# --- what goes wrong ----------------------------------------------------------------------------


@pytest.mark.parametrize("role", [P, D])
@pytest.mark.parametrize("grows", [False, True])
def test_requests_of_a_replica_that_dies_are_finished_by_others(random_trace, role, grows):
    moments = {role: (3.0, 3.0 + 1e-3)}
    scenario = replace(DISAGGREGATED, failures=moments, kv_growth=grows, initial={P: 3, D: 3})
    trace = random_trace(rate=60.0)
    result = simulate(trace, scenario)
    calm = simulate(trace, replace(scenario, failures={}))
    assert result.completed == 400
    assert result.retried > calm.retried == 0
    assert result.changes[-1].fleet[role].ready == 1
    before = calm.finish_seconds < 3.0
    assert np.array_equal(result.finish_seconds[before], calm.finish_seconds[before])
    assert np.nansum(result.itl_seconds) > np.nansum(calm.itl_seconds) or role is P


def test_a_retried_request_keeps_its_tokens(requests_at):
    trace = requests_at(0.0, osl=2000)
    two = replace(ONE, initial={A: 2})
    calm = simulate(trace, two)
    middle = float(calm.finish_seconds[0]) / 2
    results = [simulate(trace, replace(two, failures={A: (middle,)}, seed=s)) for s in range(4)]
    delays = {round(float(r.finish_seconds[0] - calm.finish_seconds[0]), 6) for r in results}
    assert len(delays) == 2  # the one that has it dies, or the other
    assert min(delays) == 0.0
    assert 0.0 < max(delays) < 0.2  # its context is computed again, its tokens are not
    assert all(r.ttft_seconds[0] == calm.ttft_seconds[0] for r in results)


def test_a_role_without_replicas_waits_for_the_next_one(requests_at, watched):
    trace = requests_at(0.0, 1.0, 2.0, osl=500)
    scenario = replace(ONE, failures={A: (1.5,)}, interval_seconds=1.0, cold_start_seconds=4.0)
    result, seen = watched(trace, scenario)
    assert result.completed == 3
    assert any(o.fleet[A].ready == 0 for o in seen)
    assert result.scale_actions == 1


def test_a_drain_that_takes_too_long_is_ended(requests_at):
    def shrink(observation):
        return {A: 2 if observation.at < 5 else 1}

    trace = requests_at(0.0, 0.1, 0.2, osl=8000)
    two = replace(ONE, initial={A: 2}, drain_timeout_seconds=3.0)
    result = simulate(trace, two, policy=shrink)
    assert result.completed == 3
    assert [c.at for c in result.changes if c.at] == [5.0, 8.0]
    assert result.retried == 1


def test_noise_moves_every_replica_by_so_much_at_most(requests_at):
    trace = requests_at(*np.arange(50) * 1.0, osl=2)
    exact = simulate(trace, ONE).ttft_seconds[0]
    noisy = simulate(trace, replace(ONE, initial={A: 5}, noise=0.2, router=Router.ROUND_ROBIN))
    times = Counter(np.round(noisy.ttft_seconds, 9))
    assert len(times) == 5
    assert all(0.8 * exact <= t <= 1.2 * exact for t in times)
