"""A cold start that nobody set is the one that was measured, and can be replayed."""

from dataclasses import replace

import pytest

from planner.cli.control.cold_start import MeasuredColdStart, with_cold_start
from planner.core.policy import PolicyConfig
from planner.core.sla import Sla
from planner.core.state import PolicyState
from planner.loop import Policy

CONFIG = PolicyConfig(sla=Sla(ttft_seconds=0.2, itl_seconds=0.02), cold_start_seconds=60.0)
POLICY = Policy(config=CONFIG, profile=None)


@pytest.mark.parametrize(
    ("measured", "used"),
    [
        pytest.param(None, 60.0, id="nothing measured"),
        pytest.param(65.9, 60.0, id="near what it has"),
        pytest.param(67.0, 67.0, id="longer"),
        pytest.param(3.5, 3.5, id="shorter"),
        pytest.param(9000.0, 7200.0, id="longer than any plan"),
    ],
)
def test_only_a_change_that_matters_is_taken_over(measured: float | None, used: float) -> None:
    policy = with_cold_start(POLICY, measured)

    assert policy.config == replace(CONFIG, cold_start_seconds=used)


def test_each_change_begins_a_run_with_the_state_so_far() -> None:
    begun: list[tuple[float, PolicyState]] = []

    def begin(policy: Policy, state: PolicyState) -> int:
        begun.append((policy.config.cold_start_seconds, state))
        return 7

    state = PolicyState(at=3.0)
    revise = MeasuredColdStart(measured=lambda: 20.0, begin=begin)
    revised = revise(POLICY, state)

    assert revised is not None
    assert revised[1] == 7
    assert begun == [(20.0, state)]
    assert revise(revised[0], state) is None
