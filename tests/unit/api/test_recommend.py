"""`planner.recommend`: the same as `planner size`, for programs."""

import json

import pytest

import planner
from planner.cli.main import main
from planner.errors import ConfigError, ProfileError, SlaInfeasible

PROFILE, SLA = "llama-3.1-8b-fp8-h200", "ttft=500ms,itl=25ms"
LOAD = {"rate": 20, "isl": 3000, "osl": 300}


@pytest.mark.parametrize(
    ("more", "flags"),
    [
        pytest.param({}, [], id="plain"),
        pytest.param(
            {"isl_p99": 9000, "gpu_price": 3.5, "topology": "disaggregated"},
            ["--isl-p99", "9000", "--gpu-price", "3.5", "--roles", "disaggregated"],
            id="all",
        ),
    ],
)
def test_the_document_is_the_command_s(capsys, more, flags):
    load = ["--rate", "20/s", "--isl", "3000", "--osl", "300"]
    assert main(["size", "--profile", PROFILE, "--sla", SLA, *load, *flags, "-o", "json"]) == 0
    printed = json.loads(capsys.readouterr().out)
    document = planner.recommend(PROFILE, SLA, **LOAD, **more).to_dict()
    assert json.loads(json.dumps(document)) == printed
    assert next(iter(document)) == "schema_version"


def test_values_are_taken_as_well_as_texts():
    found = planner.recommend(PROFILE, SLA, **LOAD)
    values = (planner.load_profile(PROFILE), planner.Sla.parse(SLA))
    assert planner.recommend(*values, **{**LOAD, "rate": "1200/min"}) == found
    assert found.replicas == {role: part.replicas for role, part in found.sizing.roles.items()}
    assert found.gpus == found.sizing.gpus
    assert found.cost_per_hour is None
    assert found.notes == ()
    assert found.attainment >= 0.99


@pytest.mark.parametrize(
    ("change", "error", "message"),
    [
        pytest.param({"profile": "lama"}, ProfileError, "profile 'lama': not bundled", id="prof"),
        pytest.param({"sla": "ttft=500"}, ConfigError, "sla ttft=500: a duration needs", id="sla"),
        pytest.param({"rate": "20"}, ConfigError, "rate 20: a rate needs a unit", id="rate"),
        pytest.param({"rate": -1}, ConfigError, "rate -1/s: must be at least 0", id="negative"),
        pytest.param({"isl": 0}, ConfigError, "isl 0: must be at least 1 token", id="isl"),
        pytest.param({"isl_p99": 9}, ConfigError, "isl p99 9: must be 1 to 15", id="p99"),
        pytest.param({"gpu_price": -1}, ConfigError, "gpu_price -1: must be", id="price"),
        pytest.param({"topology": "both"}, ConfigError, "topology 'both': must be", id="topology"),
        pytest.param({"sla": "ttft=5ms"}, SlaInfeasible, "no number of replicas", id="infeasible"),
    ],
)
def test_a_mistake_is_of_the_one_tree(change, error, message):
    arguments = {"profile": PROFILE, "sla": SLA, **LOAD, **change}
    with pytest.raises(error) as told:
        planner.recommend(**arguments)
    assert message in str(told.value)
    assert isinstance(told.value, planner.PlannerError)
    assert told.value.hint
