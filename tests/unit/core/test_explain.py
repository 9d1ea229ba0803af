"""Every step can be told in one sentence, from the figures that it carries."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from planner.core.decide import Bounds, PolicyConfig, PolicyState, decide
from planner.core.explain import explain, sentence
from planner.core.observation import RoleLoad
from planner.core.plan import Decision, Step
from planner.core.plan import Reason as R
from planner.core.role import Role
from planner.core.sla import Sla
from planner.profiles import load_profile

P, D = Role.PREFILL, Role.DECODE

WORK = {"forecast_replicas": 4.2, "headroom": 1.25, "horizon_seconds": 65.0}
OFF = {"headroom": 3.14, "burst_replicas": 2.6}
CASES = {
    "demand": (
        R.DEMAND_FORECAST, WORK,
        "4.2 replicas of work expected in 1m5s, times 1.25 for past errors",
    ),
    "more headroom than learned": (
        R.DEMAND_FORECAST, WORK | {"headroom_setting": 1.5},
        "4.2 replicas of work expected in 1m5s, times 1.25 for past errors, times 1.5 as set",
    ),
    "warm spares": (
        R.BURSTS, OFF | {"warm_spares": 2.0},
        "forecasts were off by 3.1x, so 2 of 3 replicas are held as warm spares",
    ),
    "bursts within what is expected": (
        R.BURSTS, OFF | {"warm_spares": 0.0},
        "forecasts were off by 3.1x, which twice of them covers",
    ),
    "held": (
        R.SCALE_DOWN_STABILIZED, {"remaining_seconds": 220.0},
        "2 would do, held for 3m40s more",
    ),
    "backlog": (R.BACKLOG, {"backlog_seconds": 1.2}, "1.2s of prefill work waits"),
    "full": (R.KV_PRESSURE, {"fullness": 1.3}, "the ready replicas are 130% full"),
    "stale": (
        R.METRICS_UNAVAILABLE, {"age_seconds": 12.0}, "nothing current is known, held; 12s old",
    ),
    "first requests": (
        R.WARMING_UP, {}, "no request has finished yet, so their lengths are unknown",
    ),
    "budget": (R.GPU_BUDGET, {"max_gpus": 8.0}, "3 fit into 8 GPUs"),
    "most": (R.TOO_MANY_REPLICAS, {"maximum": 3.0}, "the maximum is 3"),
    "an older journal's": (R.BACKLOG, {"old_figure": 1.5}, "old_figure 1.5"),
    "no figures at all": (R.BACKLOG, {}, "2 -> 3"),
}  # fmt: skip


@pytest.mark.parametrize(("reason", "inputs", "text"), CASES.values(), ids=CASES)
def test_a_step_is_a_sentence(reason, inputs, text):
    step = Step(reason=reason, before=2, after=3, inputs=inputs)
    assert sentence(step) == f"{reason}: {text}"


@given(
    st.sampled_from([None, 0.0, 30.0, 3000.0]),
    st.integers(1, 9),
    st.sampled_from([0.5, 1.0]),
    st.integers(0, 9000),
    st.sampled_from(["ttft=200ms,itl=20ms", "ttft=20ms", "ttft=60ms,itl=20ms"]),
)
def test_every_step_of_a_decision_has_its_figures(look, rate, count, on_time, waiting, sla):
    config = PolicyConfig(
        sla=Sla.parse(sla),
        bounds={P: Bounds(minimum=2, maximum=5), D: Bounds(maximum=4)},
        max_gpus=7,
    )
    state, fleet = PolicyState(), {P: count, D: count}
    load = {role: RoleLoad(waiting=waiting, running=waiting) for role in fleet}
    for index in range(12):
        seen = look(5.0 * (index + 1), rate, fleet, load=load, on_time=on_time)
        state, plan = decide(config, load_profile("llama-3.1-8b-fp8-h200"), state, seen)
        fleet = plan.desired
        for decision in plan.decisions.values():
            for step in decision.steps:
                text = sentence(step)
                assert text.startswith(f"{step.reason}: ")
                assert not any(f"{name} " in text for name in step.inputs if "_" in name)
            assert explain(decision) == sentence(decision.steps[-1])


def test_a_decision_without_steps_says_so():
    assert explain(Decision.unmoved(P, 3)) == "no reason recorded"
