"""`planner.simulate`: the same as the command, for programs."""

import json
from dataclasses import FrozenInstanceError

import pytest

import planner
from planner.cli.main import main
from planner.errors import ConfigError, ProfileError, SlaInfeasible, TraceError

TRACE, PROFILE, SLA = "bundled:azure-conv", "llama-3.1-8b-fp8-h200", "ttft=200ms,itl=20ms"
COMMAND = ["simulate", "--trace", TRACE, "--profile", PROFILE, "--sla", SLA, "-o", "json"]
TIMED = {"wall_seconds", "requests_per_second_simulated"}


def timeless(value):
    if isinstance(value, dict):
        return {name: timeless(item) for name, item in value.items() if name not in TIMED}
    return [timeless(item) for item in value] if isinstance(value, list) else value


@pytest.mark.parametrize(
    ("options", "flags"),
    [
        pytest.param({}, [], id="plain"),
        pytest.param(
            {"policies": ["static", "hpa"], "fleet": {"prefill": 1, "decode": 2},
             "cold_start_seconds": 10, "hands_off_seconds": 60, "score_from_seconds": 100},
            ["--compare", "static,hpa", "--prefill", "1", "--decode", "2", "--cold-start", "10s",
             "--hands-off", "1m", "--score-from", "100s"],
            id="several",
        ),
        pytest.param(
            {"fleet": {"aggregated": 2}, "max_gpus": 3, "policies": "planner"},
            ["--aggregated", "2", "--max-gpus", "3"],
            id="aggregated",
        ),
    ],
)  # fmt: skip
def test_the_document_is_the_command_s(capsys, options, flags):
    assert main([*COMMAND, *flags]) == 0
    printed = json.loads(capsys.readouterr().out)
    document = planner.simulate(TRACE, PROFILE, SLA, **options).to_dict()
    assert timeless(json.loads(json.dumps(document))) == timeless(printed)
    assert next(iter(document)) == "schema_version"


def test_a_result_is_frozen_and_knows_each_run():
    done = planner.simulate(TRACE, PROFILE, SLA, policies=["planner", "static"])
    assert done["planner"].result is done.result
    assert done.attainment == done.result.attainment
    assert done.gpu_hours == done.result.gpu_seconds / 3600
    with pytest.raises(ConfigError, match="no run of 'hpa'"):
        done["hpa"]
    with pytest.raises(FrozenInstanceError):
        done.oracle = None


def test_all_that_can_be_set_about_decisions_comes_as_a_policy():
    sla = planner.Sla.parse(SLA)
    policy = planner.PolicyConfig(sla=sla, cold_start_seconds=10, interval_seconds=2)
    done = planner.simulate(TRACE, PROFILE, policy, cold_start_seconds=20)
    assert done.setting.config.interval_seconds == 2
    assert done.setting.config.cold_start_seconds == 20


def test_progress_is_told_by_name_and_share():
    heard = []
    planner.simulate(
        TRACE, PROFILE, SLA, policies=["static", "planner"], fleet={"prefill": 1, "decode": 1},
        progress=lambda name, share: heard.append((name, share)),
    )  # fmt: skip
    assert heard[0] == ("static", 0.0)
    assert heard[-1] == ("planner", 1.0)
    assert ("static", 1.0) in heard


@pytest.mark.parametrize(
    ("change", "error", "message"),
    [
        pytest.param({"trace": "no.csv"}, TraceError, "trace no.csv: no such file", id="trace"),
        pytest.param({"profile": "no.json"}, ProfileError, "no.json", id="profile"),
        pytest.param({"sla": "itl=5"}, ConfigError, "sla itl=5: a duration needs", id="sla"),
        pytest.param({"policies": "hap"}, ConfigError, "no such policy: 'hap'", id="policy"),
        pytest.param({"policies": []}, ConfigError, "no policy is named", id="no policy"),
        pytest.param({"fleet": {"decod": 1}}, ConfigError, "unknown role 'decod'", id="role"),
        pytest.param({"fleet": {"decode": 1}}, ConfigError, "aggregated, or prefill", id="half"),
        pytest.param(
            {"fleet": {"aggregated": 0}}, ConfigError, "0 aggregated replicas", id="nobody"
        ),
        pytest.param(
            {"fleet": {"aggregated": 2}, "max_gpus": 1}, ConfigError, "holds 2 GPUs", id="budget"
        ),
        pytest.param(
            {"fleet": {"aggregated": 2}, "sla": planner.PolicyConfig(sla=planner.Sla.parse(SLA))},
            ConfigError,
            "the policy has bounds for prefill, decode",
            id="other roles",
        ),
        pytest.param(
            {"score_from_seconds": 3600}, ConfigError, "the last request arrives", id="late"
        ),
        pytest.param({"cold_start_seconds": -1}, ConfigError, "cold_start_seconds -1", id="cold"),
        pytest.param({"sla": "ttft=1ms"}, SlaInfeasible, "no number of replicas", id="infeasible"),
    ],
)
def test_a_mistake_is_of_the_one_tree(change, error, message):
    arguments = {"trace": TRACE, "profile": PROFILE, "sla": SLA, **change}
    with pytest.raises(error) as told:
        planner.simulate(**arguments)
    assert message in str(told.value)
    assert told.value.hint
