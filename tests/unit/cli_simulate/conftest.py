"""Stand-ins for what takes long: a peer with a simple rule, and an oracle that only adds up."""

from dataclasses import dataclass, replace

import pytest

from planner.sim.run import simulate
from planner.sim.score import score


@dataclass
class Oracle:
    gpu_hours: float
    attainment: float
    method: str
    work_bound_gpu_hours: float
    result: object


def two_of_each(trace, scenario, *, attainment, start_seconds, progress):
    fleet = dict.fromkeys(scenario.models, 2)
    result = simulate(trace, replace(scenario, initial=fleet), progress=progress)
    scored = score(result, start_seconds=start_seconds)
    return Oracle(scored.gpu_hours, scored.attainment, "local search", 0.01, result)


class Rule:
    """Asks for more replicas every minute, up to five."""

    def __init__(self, headroom):
        self._headroom = headroom

    def __call__(self, observation):
        wanted = int(self._headroom * min(5, 1 + observation.at // 60))
        return dict.fromkeys(observation.fleet, wanted)


@dataclass
class Peer:
    name: str

    def make(self, config, profile, *, headroom=1.0):
        return Rule(headroom)


@pytest.fixture
def peers(monkeypatch):
    fakes = {"hpa": Peer("hpa"), "kpa": Peer("kpa")}
    monkeypatch.setattr("planner.cli.sim.policies.PEERS", fakes)
    monkeypatch.setattr("planner.cli.sim.runs.PEERS", fakes)
    return fakes


@pytest.fixture
def oracle(monkeypatch):
    monkeypatch.setattr("planner.sim.oracle.oracle", two_of_each, raising=False)
