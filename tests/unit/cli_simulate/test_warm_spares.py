"""A load whose bursts no start can follow is told so, with the replicas that it takes."""

import json

import numpy as np
import pytest

from planner.cli.decisions import spares_lines
from planner.cli.main import main
from planner.core.plan import Reason, Step
from planner.core.policy import Bounds
from planner.core.role import Role

P, D = Role.PREFILL, Role.DECODE


def burst(replicas: int, spares: float) -> Step:
    inputs = {"headroom": 5.0, "burst_replicas": 3.0, "warm_spares": spares}
    return Step(reason=Reason.BURSTS, before=1, after=replicas, inputs=inputs)


SPARES = {P: burst(31, 20.0), D: burst(3, 2.0)}
TOLD = "This load needs warm spares: 20 of 31 prefill replicas and 2 of 3 decode replicas"


@pytest.mark.parametrize(
    ("spares", "minimum", "lines"),
    [
        pytest.param({}, 1, [], id="none"),
        pytest.param(
            SPARES,
            1,
            [
                TOLD,
                "Demand rises faster than replicas start. To hold enough from the start: "
                "--min prefill=31 --min decode=3",
            ],
            id="not yet held",
        ),
        pytest.param(
            SPARES,
            3,
            [
                TOLD,
                "Demand rises faster than replicas start. To hold enough from the start: "
                "--min prefill=31",
            ],
            id="one held",
        ),
        pytest.param(SPARES, 31, [TOLD], id="all held"),
    ],
)
def test_what_is_told(spares, minimum, lines):
    bounds = dict.fromkeys((P, D), Bounds(minimum=minimum))
    assert spares_lines(spares, bounds) == lines


@pytest.fixture
def simulate(tmp_path, capsys):
    """Return a simulation of a trickle with a burst of 800 prompts every two minutes, or none."""

    def run(*flags: str, bursts: int) -> str:
        steady = np.arange(0.0, 1800.0, 0.25)
        rushes = 120.0 * np.arange(1, bursts + 1)[:, None] + np.arange(0.0, 4.0, 0.005)
        rows = [
            json.dumps({"timestamp": round(1e3 * at), "input_length": 1000, "output_length": 20})
            for at in np.sort(np.concatenate([steady, rushes.ravel()]))
        ]
        path = tmp_path / "trace.jsonl"
        path.write_text("\n".join(rows))
        sla = ["--profile", "llama-3.1-8b-fp8-h200", "--sla", "ttft=500ms,itl=50ms"]
        assert main(["simulate", "--trace", str(path), *sla, "--cold-start", "30s", *flags]) == 0
        return capsys.readouterr().out

    return run


def test_a_simulation_ends_with_how_many_are_needed(simulate, tmp_path):
    page = tmp_path / "out.html"
    *_, needs, advice = simulate("--report", str(page), bursts=14).splitlines()
    assert needs.startswith("This load needs warm spares: ")
    assert " prefill replicas" in needs
    assert "--min prefill=" in advice
    assert needs in page.read_text()
    (flag,) = (word for word in advice.split() if word.startswith("prefill="))
    document = json.loads(simulate("--min", flag, "-o", "json", bursts=14))
    assert document["attainment"] > 0.99
    told = document["warm_spares"]["prefill"]
    assert flag == f"prefill={told['replicas']}"
    assert 0 < told["spares"] < told["replicas"]


def test_a_steady_load_needs_none(simulate):
    assert "spares" not in simulate(bursts=0)
    assert "warm_spares" not in json.loads(simulate("-o", "json", bursts=0))
