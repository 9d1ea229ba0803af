"""Need now: what waits, what is full and what was late."""

import pytest

from planner.core.observation import Replicas, RoleLoad
from planner.core.pressure import (
    backlog_seconds,
    clearing_replicas,
    fullness,
    lateness_factor,
    roomy_replicas,
)
from planner.core.role import Role
from planner.core.sla import Sla
from planner.core.workload import Workload
from planner.profiles import load_profile

ENGINE = load_profile("llama-3.1-8b-fp8-h200").engine()
SLA = Sla(ttft_seconds=0.2, itl_seconds=0.02)
CHAT = Workload(rate_rps=20.0, isl=1000, osl=200)


def test_waiting_tokens_say_more_than_waiting_prompts():
    by_count = backlog_seconds(Role.PREFILL, ENGINE, CHAT, RoleLoad(waiting=10))
    by_tokens = backlog_seconds(
        Role.PREFILL, ENGINE, CHAT, RoleLoad(waiting=10, waiting_tokens=30_000)
    )
    assert by_count == pytest.approx(10 * 0.0171, rel=0.01)
    assert by_tokens == pytest.approx(3 * by_count)
    assert backlog_seconds(Role.DECODE, ENGINE, CHAT, RoleLoad(waiting=10)) == 0
    assert backlog_seconds(Role.PREFILL, ENGINE, CHAT, RoleLoad()) == 0


@pytest.mark.parametrize(
    ("seconds", "busy", "fleet", "needed"),
    [
        pytest.param(8.0, 1.5, Replicas(ready=2), 2, id="cleared by then, nearly"),
        pytest.param(30.0, 1.5, Replicas(ready=2), 4, id="25 s left to clear in 10"),
        pytest.param(30.0, 1.5, Replicas(ready=2, starting=2), 2, id="those that start count"),
        pytest.param(500.0, 1.5, Replicas(ready=2), 4, id="at most twice as many"),
        pytest.param(0.1, 1.5, Replicas(ready=2), 0, id="within the slack"),
        pytest.param(3.0, 0.5, Replicas(), 2, id="none there yet"),
    ],
)
def test_a_backlog_is_cleared_within_a_lead(seconds, busy, fleet, needed):
    replicas = clearing_replicas(
        seconds, busy=busy, slack_seconds=0.1, lead_seconds=10.0, replicas=fleet
    )
    assert replicas == needed


def full(load, ready=1):
    return fullness(Role.DECODE, ENGINE, SLA, CHAT, load=load, ready=ready)


def test_a_pool_is_full_by_its_batch_or_its_kv_cache():
    batch = ENGINE.decode_batch(0.02, CHAT.context_tokens)
    assert full(RoleLoad(running=batch)) == pytest.approx(1.0, abs=0.01)
    assert full(RoleLoad(running=batch), ready=2) == pytest.approx(0.5, abs=0.01)
    assert full(RoleLoad(kv_usage=0.85, running=1)) == pytest.approx(1.0)
    assert full(RoleLoad(kv_usage=0.85, running=10, waiting=10)) == pytest.approx(2.0)
    assert full(RoleLoad()) == 0.0


@pytest.mark.parametrize(
    ("fullness_now", "fleet", "needed"),
    [
        pytest.param(1.05, Replicas(ready=4), 0, id="chance"),
        pytest.param(1.2, Replicas(ready=4), 5, id="full"),
        pytest.param(9.0, Replicas(ready=4), 8, id="at most twice as many"),
        pytest.param(2.0, Replicas(ready=1, starting=3), 2, id="the ready ones are full"),
    ],
)
def test_what_is_full_is_spread(fullness_now, fleet, needed):
    assert roomy_replicas(fullness_now, fleet) == needed


@pytest.mark.parametrize(
    ("late_share", "factor"),
    [
        pytest.param(None, 1.0, id="unknown"),
        pytest.param(0.0, 1.0, id="none late"),
        pytest.param(0.007, 1.0, id="as many as may be"),
        pytest.param(0.014, 1.0618, id="twice as many"),
        pytest.param(1.0, 1.1972, id="all late: bounded"),
    ],
)
def test_lateness_adds_headroom_and_never_takes_any(late_share, factor):
    assert lateness_factor(late_share, attainment=0.99) == pytest.approx(factor, rel=1e-3)
