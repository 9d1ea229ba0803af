"""Replaying a journal reproduces its decisions: nothing else went into them."""

from itertools import pairwise

import numpy as np
import pytest

from planner.core.decide import decide
from planner.core.encoding import decoded, encoded
from planner.core.observation import Observation
from planner.core.policy import PolicyConfig
from planner.core.profile import Profile
from planner.core.role import Role
from planner.core.sla import Sla
from planner.core.state import PolicyState
from planner.journal import Entry, Journal, Run
from planner.profiles import load_profile
from planner.sim.backtest import scenario
from planner.sim.run import simulate
from planner.traces import amplify, open_trace, swing

CONFIG = PolicyConfig(sla=Sla.parse("ttft=200ms,itl=20ms"), max_gpus=20, cold_start_seconds=10)
PROFILE = load_profile("llama-3.1-8b-fp8-h200")


class Writing:
    """A policy that journals as the loop does, and starts a new run half-way, as a restart does."""

    def __init__(self, path, *, restart_at: float) -> None:
        self._journal = Journal.open(path)
        self._restart_at: float | None = restart_at
        self._state = PolicyState()
        self._run = self._begin()

    def __call__(self, observation: Observation) -> dict[Role, int]:
        if self._restart_at is not None and observation.at >= self._restart_at:
            self._restart_at = None
            self._state = self._journal.state() or PolicyState()
            self._run = self._begin()
        self._state, plan = decide(CONFIG, PROFILE, self._state, observation)
        entry = Entry(at=observation.at, observation=observation, plan=plan)
        self._journal.append(self._run, entry, state=self._state)
        return plan.desired

    def _begin(self) -> int:
        config = {"policy": encoded(CONFIG), "profile": PROFILE.to_dict()}
        run = Run(
            started=0.0, mode="acts", sla=str(CONFIG.sla), config=config, initial_state=self._state
        )
        return self._journal.begin(run)

    def close(self) -> None:
        self._journal.close()


@pytest.fixture(scope="module")
def path(tmp_path_factory):
    path = tmp_path_factory.mktemp("law") / "j.sqlite"
    trace = amplify(open_trace("bundled:azure-conv"), 8, rng=np.random.default_rng(3))
    writing = Writing(path, restart_at=45.0)
    fleet = scenario(CONFIG, PROFILE, {Role.PREFILL: 2, Role.DECODE: 1})
    simulate(swing(trace, low=1, high=6, period=60), fleet, policy=writing)
    writing.close()
    return path


def test_every_decision_of_every_run_is_decided_again(path):
    with Journal.read(path) as journal:
        runs = journal.runs()
        assert len(runs) == 2
        decided = 0
        for run in runs:
            config = decoded(PolicyConfig, run.config["policy"])
            profile = Profile.from_dict(run.config["profile"])
            state = run.initial_state
            for record in journal.replay(run.id):
                state, plan = decide(config, profile, state, record.entry.observation)
                assert plan == record.entry.plan
                decided += 1
    assert decided > 15


def test_the_fleet_really_moved(path):
    with Journal.read(path) as journal:
        plans = [record.entry.plan for run in journal.runs() for record in journal.replay(run.id)]
    desired = [plan.desired[Role.PREFILL] for plan in plans]
    assert any(after != before for before, after in pairwise(desired))
