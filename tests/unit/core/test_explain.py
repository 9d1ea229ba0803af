"""Each reason has a sentence, made of the figures that the step went by."""

import pytest

from planner.core.explain import sentence
from planner.core.plan import Reason, Step

INPUTS = {
    "demand_rps": 41.2, "capacity_rps": 15.6, "horizon_seconds": 65.0, "replicas_needed": 3.02,
    "late_share": 0.031, "headroom_factor": 1.2, "backlog_seconds": 2.5, "fullness": 1.2,
    "load_over_threshold": 1.37, "remaining_seconds": 220.0, "age_seconds": 4.0, "isl": 3000.0,
    "max_gpus": 8.0, "minimum": 1.0, "maximum": 9.0,
}  # fmt: skip


@pytest.mark.parametrize("reason", Reason)
def test_every_reason_has_one(reason):
    told = sentence(Step(reason=reason, before=3, after=4, inputs=INPUTS))
    assert told.startswith(f"{reason}: ")
    assert "demand_rps" not in told


@pytest.mark.parametrize(
    ("reason", "told"),
    [
        (
            Reason.DEMAND_FORECAST,
            "41.2 req/s expected in 1m5s, one replica holds 15.6 within the SLA",
        ),
        (Reason.SCALE_DOWN_STABILIZED, "3 would do, held for 3m40s more"),
        (Reason.ATTAINMENT_BELOW_TARGET, "3.1% of requests are late, so the headroom is 1.20x"),
    ],
)
def test_what_some_say(reason, told):
    step = Step(reason=reason, before=3, after=4, inputs=INPUTS)
    assert sentence(step) == f"{reason}: {told}"


def test_without_the_figures_what_is_there_is_told():
    assert sentence(Step(reason=Reason.KV_PRESSURE, before=3, after=4)) == "KvPressure: 3 -> 4"
    odd = Step(reason=Reason.KV_PRESSURE, before=3, after=4, inputs={"heat": 2.0})
    assert sentence(odd) == "KvPressure: heat 2"
