"""Commands called as a user does, with stand-ins for what takes long: peers and the oracle."""

import json
from collections.abc import Callable
from dataclasses import dataclass, replace

import pytest

from planner.cli.main import main
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
    monkeypatch.setattr("planner.api.setting.PEERS", fakes)
    monkeypatch.setattr("planner.api.simulation.PEERS", fakes)
    return fakes


@pytest.fixture
def oracle(monkeypatch):
    monkeypatch.setattr("planner.sim.oracle.oracle", two_of_each, raising=False)


@pytest.fixture
def printed(request, capsys) -> Callable[..., dict]:
    """Return the document that the module's COMMON command prints with more flags."""

    def run(*flags: str) -> dict:
        assert main([*request.module.COMMON, *flags, "-o", "json"]) == 0
        return json.loads(capsys.readouterr().out)

    return run


@pytest.fixture
def refused(capsys) -> Callable[..., tuple[int, str, str]]:
    """Return code, error and hint of a mistake; each is one line, and nothing else is told."""

    def run(*arguments: str) -> tuple[int, str, str]:
        code = main(list(arguments))
        captured = capsys.readouterr()
        error, blank, hint = captured.err.rstrip("\n").split("\n")
        assert (blank, hint[:6], captured.out) == ("", "hint: ", "")
        return code, error, hint[6:]

    return run
