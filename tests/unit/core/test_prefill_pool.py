"""The pool of engines that prefill: waits and batches, and what can only grow with the load."""

from math import exp

import pytest
from hypothesis import given
from hypothesis import strategies as st

from planner.core.pool import prefill_queue
from planner.core.prompts import prompts
from planner.core.role import Role
from planner.core.workload import Workload
from planner.profiles import load_profile

ENGINE = load_profile("llama-3.1-8b-fp8-h200").engine()

workloads = st.builds(
    lambda isl, spread: Workload(rate_rps=0, isl=isl, osl=100, isl_squared=isl**2 * spread),
    st.floats(16, 40_000),
    st.floats(1.0, 2.5),
)


def queue(load, rate_rps, replicas):
    found = prompts(Role.PREFILL, ENGINE, load)
    return prefill_queue(ENGINE, found, isl=load.isl, rate_rps=rate_rps, replicas=replicas)


def late(load, rate_rps, replicas, slack):
    found = queue(load, rate_rps, replicas)
    return 1.0 if found is None else found.late_share(slack)


def test_prompts_that_fill_a_step_wait_as_in_an_m_d_1_queue():
    # Constant service at half load: half are held up, on average for as long as one takes.
    load = Workload(rate_rps=0, isl=8192, osl=100)
    service = ENGINE.prompt_seconds(8192)
    found = queue(load, 0.5 / service, 1)
    assert found.share == pytest.approx(0.5)
    assert found.mean_seconds == pytest.approx(service)
    assert found.late_share(0.3) == pytest.approx(0.5 * exp(-0.3 / service))


def test_short_prompts_share_the_base_and_so_take_more_than_one_by_one():
    load = Workload(rate_rps=0, isl=100, osl=100)
    alone = 1 / ENGINE.prompt_seconds(100)
    assert late(load, 3 * alone, 1, 0.2) < 0.01
    assert queue(load, 20 * alone, 1) is None


def test_a_prompt_that_the_budget_cuts_pays_another_step():
    # Of 3000 tokens 2.7 fit into a step: the third waits for another one.
    found = queue(Workload(rate_rps=0, isl=3000, osl=100), 100.0, 8)
    work = prompts(Role.PREFILL, ENGINE, Workload(rate_rps=0, isl=3000, osl=1)).work_seconds
    assert found.others_seconds[-1] > 2 * work + ENGINE.prefill.base_seconds


@given(workloads, st.floats(0.01, 300), st.integers(1, 60), st.floats(0, 5))
def test_more_engines_are_never_later(load, rate, replicas, slack):
    more = late(load, rate, replicas + 1, slack)
    assert more <= late(load, rate, replicas, slack) + 1e-6


@given(workloads, st.floats(0.01, 300), st.floats(0.01, 300), st.integers(1, 60), st.floats(0, 5))
def test_more_prompts_are_never_earlier(load, one, other, replicas, slack):
    low, high = sorted([one, other])
    assert late(load, low, replicas, slack) <= late(load, high, replicas, slack) + 1e-6


@given(workloads, st.floats(0.01, 300), st.integers(1, 60), st.floats(0, 5), st.floats(0, 5))
def test_more_slack_is_never_later(load, rate, replicas, one, other):
    low, high = sorted([one, other])
    assert late(load, rate, replicas, high) <= late(load, rate, replicas, low) + 1e-12
    assert 0 <= late(load, rate, replicas, high) <= 1


def test_long_prompts_spread_the_work_more_than_their_lengths():
    # Prefill is convex: lengths of variation 0.81 make times of variation 0.96 and more.
    load = Workload(rate_rps=0, isl=1155, osl=100, isl_squared=1155**2 * 1.81)
    assert prompts(Role.PREFILL, ENGINE, load).spread == pytest.approx(0.94, abs=0.05)
