"""`planner size`: fewest GPUs for a steady load."""

import json

import pytest

from planner.cli.main import main

LOAD = ["--rate", "20/s", "--isl", "3000", "--osl", "300"]
SIZE = ["size", "--profile", "llama-3.1-8b-fp8-h200", "--sla", "ttft=500ms,itl=25ms"]


def test_the_document_adds_up(capsys):
    assert main([*SIZE, *LOAD, "--roles", "disaggregated", "-o", "json"]) == 0
    document = json.loads(capsys.readouterr().out)
    assert set(document["roles"]) == {"prefill", "decode"}
    assert document["gpus"] == sum(role["gpus"] for role in document["roles"].values())
    assert document["attainment"] >= 0.99
    assert document["workload"] == {"rate_rps": 20.0, "isl": 3000.0, "osl": 300.0}
    assert document["sla"] == {"ttft_ms": 500.0, "itl_ms": 25.0, "attainment": 0.99}


def test_the_page_writes_the_sum_of_gpus_out(capsys):
    assert main([*SIZE, *LOAD, "--roles", "aggregated"]) == 0
    out = capsys.readouterr().out
    assert out.startswith("20/s of 3000 tokens in, 300 out   SLA ttft=500ms,itl=25ms")
    assert "3 GPUs (3x1), predicted attainment" in out


def test_the_document_says_what_one_more_and_the_other_topology_would_bring(capsys):
    assert main([*SIZE, *LOAD, "--gpu-price", "3.5", "-o", "json"]) == 0
    document = json.loads(capsys.readouterr().out)
    for part in document["roles"].values():
        assert part["attainment_one_fewer"] < 0.99 <= part["attainment_one_more"]
    assert document["cost_per_hour"] == pytest.approx(3.5 * document["gpus"])
    other = document["alternative"]
    assert {*other["roles"], *document["roles"]} == {"prefill", "decode", "aggregated"}
    assert other["cost_per_hour"] >= document["cost_per_hour"]
    assert document["notes"] == []


def test_a_load_beyond_what_was_measured_is_noted(capsys):
    loose = ["--sla", "ttft=8s,itl=50ms", "--isl", "9000", "--isl-p99", "40000"]
    assert main([*SIZE, *LOAD, *loose]) == 0
    out = capsys.readouterr().out
    assert "20/s of 9000 tokens in (99 % below 40000)" in out
    assert "note: prefill tp1: prompts of up to 40000 tokens, measured up to 16372" in out
    assert "instead: " in out


def test_twice_the_rate_never_needs_fewer(capsys):
    gpus = []
    for rate in ("10/s", "20/s", "2400/min"):
        assert main([*SIZE, "--rate", rate, *LOAD[2:], "-o", "json"]) == 0
        gpus.append(json.loads(capsys.readouterr().out)["gpus"])
    assert gpus == sorted(gpus)
    assert gpus[0] < gpus[2]


@pytest.mark.parametrize(
    ("flags", "code", "message"),
    [
        pytest.param(["--rate", "20"], 2, "--rate 20: a rate needs a unit", id="rate"),
        pytest.param(["--isl", "0"], 2, "isl 0: must be at least 1", id="isl"),
        pytest.param(["--osl", "nan"], 2, "osl nan: must be at least 1", id="osl"),
        pytest.param(["--sla", "ttft=5ms"], 4, "no number of replicas meets it", id="infeasible"),
        pytest.param(["--profile", "p.json"], 2, "p.json", id="profile"),
        pytest.param(["--isl-p99", "9"], 2, "isl p99 9: must be 1 to 15 times", id="p99"),
        pytest.param(["--gpu-price", "-1"], 2, "-1.0 is not in the range", id="price"),
        pytest.param(["--roles", "both"], 2, "'both' is not one of", id="roles"),
    ],
)
def test_a_mistake_is_one_line_with_a_hint(refused, flags, code, message):
    found, error, _ = refused(*SIZE, *LOAD, *flags)
    assert found == code
    assert message in error
