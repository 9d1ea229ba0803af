"""Decisions without a profile, by queues and KV usage."""

from itertools import pairwise

import pytest

from planner.core.decide import LoadTargets, Mode, PolicyConfig, PolicyState, decide
from planner.core.observation import Replicas, RoleLoad
from planner.core.plan import Reason
from planner.core.role import Role
from planner.core.sla import Sla

P, D = Role.PREFILL, Role.DECODE
CONFIG = PolicyConfig(
    sla=Sla(ttft_seconds=0.2),
    mode=Mode.LOAD,
    load=LoadTargets(kv_usage=0.8, waiting=2.0),
    cold_start_seconds=0.0,
    stabilization_seconds=10.0,
)


def decided(look, fleet, load, *, at=5.0, state=None):
    seen = look(at, None, fleet, load=load)
    return decide(CONFIG, None, PolicyState() if state is None else state, seen)


@pytest.mark.parametrize(
    ("load", "replicas", "desired"),
    [
        pytest.param(RoleLoad(kv_usage=0.8), 4, 4, id="at the threshold"),
        pytest.param(RoleLoad(kv_usage=0.86), 4, 4, id="within a tenth of it"),
        pytest.param(RoleLoad(kv_usage=0.95), 4, 5, id="above it"),
        pytest.param(RoleLoad(waiting=12, kv_usage=0.1), 4, 6, id="a queue of three each"),
        pytest.param(RoleLoad(waiting=999), 4, 8, id="at most twice as many"),
        pytest.param(
            RoleLoad(waiting=8), Replicas(ready=2, starting=3), 5, id="those that start will do"
        ),
        pytest.param(RoleLoad(), 4, 4, id="unknown holds"),
    ],
)
def test_growth_is_proportional(look, load, replicas, desired):
    _, plan = decided(look, {P: 1, D: replicas}, {P: RoleLoad(waiting=2), D: load})
    assert plan.desired[D] == desired


def test_shrinking_goes_one_by_one_after_the_window(look, pair):
    state, fleet, counts = PolicyState(), pair(1, 4), []
    idle = {P: RoleLoad(waiting=0), D: RoleLoad(waiting=0, kv_usage=0.1)}
    for index in range(12):
        state, plan = decided(look, fleet, idle, at=5.0 * (index + 1), state=state)
        fleet = plan.desired
        counts.append(fleet[D])
    assert counts[0] == 4
    assert counts[-1] == 1
    assert all(before - after <= 1 for before, after in pairwise(counts))


def test_a_role_whose_load_is_unknown_is_held_with_a_reason(look, pair):
    _, plan = decided(look, pair(2, 3), {P: RoleLoad(waiting=0)})
    assert plan.desired[D] == 3
    assert [s.reason for s in plan.decisions[D].steps] == [Reason.METRICS_UNAVAILABLE]
    assert plan.attainment is None


def test_no_load_at_all_holds(look, pair):
    _, plan = decided(look, pair(2, 3), {})
    assert plan.desired == pair(2, 3)
