"""Replicas start cold, the right ones go, and GPU time counts them from first to last."""

from dataclasses import replace

import numpy as np
import pytest

from planner.core.observation import Observation, Replicas
from planner.core.role import Role
from planner.core.sla import Sla
from planner.profiles import load_profile
from planner.sim.run import Scenario, simulate
from planner.traces import open_trace

P, D, A = Role.PREFILL, Role.DECODE, Role.AGGREGATED
ENGINE = load_profile("llama-3.1-8b-fp8-h200").engine()
MODEL = replace(ENGINE, limits=replace(ENGINE.limits, kv_capacity_tokens=100_000))
SLA = Sla(ttft_seconds=0.2, itl_seconds=0.02)


def scenario(**choices) -> Scenario:
    defaults = {
        "sla": SLA,
        "models": {P: MODEL, D: MODEL},
        "initial": {P: 1, D: 1},
        "cold_start_seconds": 10.0,
        "interval_seconds": 5.0,
    }
    return Scenario(**(defaults | choices))


class Schedule:
    """A policy that asks for given numbers from given times on, and keeps what it saw."""

    def __init__(self, *steps: tuple[float, dict[Role, int]]) -> None:
        self.steps = steps
        self.seen: list[Observation] = []

    def __call__(self, observation: Observation) -> dict[Role, int]:
        self.seen.append(observation)
        return [wanted for at, wanted in self.steps if at <= observation.at][-1]


def states(result, role: Role) -> list[tuple[float, int, int, int]]:
    return [
        (c.at, c.fleet[role].starting, c.fleet[role].ready, c.fleet[role].draining)
        for c in result.changes
    ]


def test_a_replica_starts_cold_and_gpu_time_counts_it_from_the_start(requests_at):
    policy = Schedule((0, {P: 1, D: 1}), (20, {P: 1, D: 2}))
    result = simulate(requests_at(0, 100, osl=1), scenario(), policy=policy)
    assert states(result, D) == [(0, 0, 1, 0), (20, 1, 1, 0), (30, 0, 2, 0)]
    assert result.gpu_seconds == pytest.approx(2 * result.duration_seconds + 80, abs=0.2)
    assert result.peak_gpus == 3
    assert result.scale_actions == 1
    assert result.replicas(D) == (1, 2)


def test_starting_replicas_are_cancelled_first_and_cost_nothing_after(requests_at):
    policy = Schedule((0, {P: 1, D: 3}), (5, {P: 1, D: 1}))
    result = simulate(requests_at(0, 100, osl=1), scenario(), policy=policy)
    assert states(result, D) == [(0, 0, 1, 0), (0, 2, 1, 0), (5, 0, 1, 0)]
    assert result.gpu_seconds == pytest.approx(2 * result.duration_seconds + 10, abs=0.2)


def test_the_idlest_ready_replica_drains_and_finishes_its_requests(requests_at):
    trace = requests_at(0, 0.1, 0.2, osl=4000)  # the second replica gets one of the three
    policy = Schedule((0, {P: 1, D: 2}), (5, {P: 1, D: 1}))
    result = simulate(trace, scenario(initial={P: 1, D: 2}), policy=policy)
    assert result.completed == 3
    left = result.changes[-1]
    assert states(result, D)[1] == (5, 0, 1, 1)
    assert left.fleet[D] == Replicas(ready=1)
    assert left.at == pytest.approx(result.finish_seconds[1])


def test_a_draining_prefill_replica_finishes_what_it_has_begun_only(requests_at):
    trace = requests_at(*[4.99] * 12, isl=8000, osl=2)  # 8000 tokens fill a step
    policy = Schedule((0, {P: 2, D: 1}), (5, {P: 1, D: 1}))
    result = simulate(trace, scenario(initial={P: 2, D: 1}), policy=policy)
    assert result.completed == 12
    gone = next(c.at for c in result.changes if c.at > 5)
    assert gone < 5.4  # at most two steps later


def test_roles_that_shrink_go_before_roles_that_grow(requests_at):
    policy = Schedule((0, {P: 3, D: 1}), (50, {P: 1, D: 3}))
    result = simulate(requests_at(0, 100, osl=1), scenario(initial={P: 3, D: 1}), policy=policy)
    assert result.peak_gpus == 4


def test_requests_wait_for_the_first_replica(requests_at):
    policy = Schedule((0, {P: 1, D: 1}))
    result = simulate(requests_at(1.0, 2.0), scenario(initial={P: 0, D: 0}), policy=policy)
    assert result.completed == 2
    assert result.ttft_seconds[0] > 8.9


def test_a_request_that_fits_into_no_engine_fails_and_is_a_miss(requests_at):
    trace = requests_at(0.0, 1.0, isl=100_000)
    result = simulate(trace, scenario())
    assert (result.failed, result.completed, result.attainment) == (2, 0, 0.0)


def test_a_fleet_without_replicas_never_finishes_anything(requests_at):
    result = simulate(requests_at(0.0), scenario(initial={P: 0, D: 0}, patience_seconds=50.0))
    assert (result.completed, result.attainment, result.gpu_seconds) == (0, 0.0, 0.0)
    assert result.duration_seconds == 50.0


def test_a_request_of_one_token_has_no_itl_and_can_meet_the_sla(requests_at):
    result = simulate(requests_at(0.0, osl=1), scenario())
    assert np.isnan(result.itl_seconds[0])
    assert result.attainment == 1.0


def test_what_a_policy_sees_adds_up_to_what_happened():
    trace = open_trace("bundled:azure-conv")
    policy = Schedule((0, {P: 1, D: 1}))
    result = simulate(trace, scenario(), policy=policy)
    traffic = [seen.traffic for seen in policy.seen[1:]]
    until = policy.seen[-1].at
    arrived = trace.arrival_seconds <= until
    done = result.finish_seconds <= until
    assert policy.seen[0].traffic is None  # a first look has nothing to compare with
    assert [seen.at for seen in policy.seen[:3]] == [0.0, 5.0, 10.0]
    assert sum(t.arrived for t in traffic) == arrived.sum()
    assert sum(t.isl_squared_sum for t in traffic) == (trace.isl[arrived] ** 2).sum()
    assert sum(t.finished for t in traffic) == done.sum()
    assert sum(t.osl_sum for t in traffic) == trace.osl[done].sum()
    assert sum(t.within_sla for t in traffic) == result.within_sla[done].sum()
    assert sum(t.itl_sum for t in traffic) == pytest.approx(np.nansum(result.itl_seconds[done]))


def test_load_shows_the_shared_queue_for_prefill_and_memory_for_decode(requests_at):
    trace = requests_at(*[4.99] * 12, isl=8000, osl=100)
    policy = Schedule((0, {P: 1, D: 1}))
    simulate(trace, scenario(), policy=policy)
    prefill, decode = (policy.seen[1].load[role] for role in (P, D))
    assert (prefill.running, prefill.waiting, prefill.waiting_tokens) == (1, 11, None)
    assert (decode.running, decode.waiting, decode.waiting_tokens) == (0, 0, 0)
    assert decode.kv_usage == pytest.approx(12 * 8000 / 100_000, rel=0.01)
    assert policy.seen[1].in_flight == 12


def test_an_aggregated_fleet_counts_prompts_that_wait(requests_at):
    trace = requests_at(*[4.99] * 5, isl=8000, osl=100)
    policy = Schedule((0, {A: 1}))
    simulate(trace, scenario(models={A: MODEL}, initial={A: 1}), policy=policy)
    load = policy.seen[1].load[A]
    assert load.running == 1
    assert load.waiting == 4
    assert load.waiting_tokens == 40_000


def test_equal_runs_are_equal():
    trace = open_trace("bundled:azure-conv")
    policies = [Schedule((0, {P: 1, D: 1}), (60, {P: 2, D: 3}), (90, {P: 1, D: 1})) for _ in "ab"]
    one, two = (simulate(trace, scenario(), policy=policy) for policy in policies)
    assert np.array_equal(one.ttft_seconds, two.ttft_seconds)
    assert one.changes == two.changes
    assert policies[0].seen == policies[1].seen


def test_progress_ends_at_everything(requests_at):
    told: list[float] = []
    simulate(requests_at(0.0, 9.0), scenario(), progress=told.append)
    assert told == sorted(told)
    assert told[-1] == 1.0


def test_an_empty_trace_costs_nothing(requests_at):
    result = simulate(requests_at(), scenario())
    assert (result.requests, result.attainment, result.gpu_seconds) == (0, 1.0, 0.0)
