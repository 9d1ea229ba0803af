"""`planner simulate`: the figures it prints, the shapes it takes, the mistakes it names."""

import json

import pytest

from planner.cli.main import main

COMMON = [
    "simulate", "--trace", "bundled:azure-conv", "--profile", "llama-3.1-8b-fp8-h200",
    "--sla", "ttft=200ms,itl=20ms",
]  # fmt: skip


def test_the_document_has_every_figure(printed):
    document = printed()
    assert document["requests"] == document["completed"] == 1445
    assert document["failed"] == 0
    assert document["attainment"] > 0.98
    assert list(document["ttft_ms"]) == list(document["itl_ms"]) == ["p50", "p95", "p99"]
    assert document["gpu_hours"] == pytest.approx(document["gpu_seconds"] / 3600)
    assert document["peak_gpus"] >= 2
    assert document["scale_actions"] >= 0
    assert document["requests_per_second_simulated"] > 0
    assert set(document["replicas"]) == {"prefill", "decode"}
    assert document["schema_version"] == "1"


def test_a_fixed_fleet_never_scales(printed):
    document = printed("--static", "--prefill", "2", "--decode", "3")
    assert document["scale_actions"] == 0
    assert document["peak_gpus"] == 5
    assert document["replicas"]["decode"] == {"min": 3, "max": 3}


def test_static_without_numbers_finds_the_smallest_fleet(printed):
    document = printed("--static", "--amplify", "6")
    assert document["attainment"] >= 0.99
    assert 3 <= document["peak_gpus"] <= 6


def test_an_aggregated_fleet_has_one_role(printed):
    document = printed("--static", "--aggregated", "2")
    assert set(document["replicas"]) == {"aggregated"}


@pytest.mark.parametrize(
    ("flags", "requests", "seconds"),
    [
        pytest.param(["--speed", "10"], 1445, (29, 35), id="speed"),
        pytest.param(["--amplify", "3"], 4335, (299, 305), id="amplify"),
        pytest.param(["--head", "1m"], 191, (55, 65), id="head"),
        pytest.param(["--swing", "1:6", "--period", "60s"], 1445, (75, 100), id="swing"),
    ],
)
def test_shapes(printed, flags, requests, seconds):
    document = printed("--static", "--prefill", "2", "--decode", "2", *flags)
    assert document["requests"] == pytest.approx(requests, abs=5)
    assert seconds[0] < document["duration_seconds"] < seconds[1]


def test_equal_seeds_give_equal_figures_and_others_do_not(printed):
    def figures(seed: str) -> dict:
        document = printed("--amplify", "3", "--seed", seed)
        return {k: v for k, v in document.items() if "wall" not in k and "simulated" not in k}

    assert figures("1") == figures("1")
    assert figures("1") != figures("2")


def test_the_page_says_whether_the_target_is_met(capsys):
    assert main([*COMMON, "--static", "--prefill", "1", "--decode", "1"]) == 0
    captured = capsys.readouterr()
    assert "1445 requests in 5m" in captured.out
    assert "the target of 99% is met" in captured.out
    assert "at most 2 GPUs; prefill 1, decode 1; 0 scale actions" in captured.out
    assert max(map(len, captured.out.splitlines())) <= 100
    assert captured.err == ""


def test_prompts_that_decode_replicas_prefill_themselves_cost_itl(printed):
    static = ["--static", "--prefill", "1", "--decode", "1"]
    away = printed(*static)
    local = printed(*static, "--max-local-prefill-length", "1000")
    none_away = printed(*static, "--max-prefill-queue-size", "0")
    assert away["itl_ms"]["p95"] < local["itl_ms"]["p95"] < none_away["itl_ms"]["p95"]


@pytest.mark.parametrize("quiet", [False, True], ids=["loud", "quiet"])
def test_a_long_wait_shows_progress_on_a_terminal_and_leaves_nothing(capsys, monkeypatch, quiet):
    monkeypatch.setattr("planner.cli.sim.progress.QUIET_SECONDS", -1.0)
    monkeypatch.setattr("planner.cli.sim.progress._TERMINAL_SECONDS", 0.0)
    monkeypatch.setattr("sys.stderr.isatty", lambda: True)
    assert main([*COMMON, "--static", *(["-q"] if quiet else [])]) == 0
    shown = capsys.readouterr().err
    if quiet:
        assert shown == ""
    else:
        assert "simulating static  50%" in shown
        assert shown.endswith("\r\033[K")


def test_settings_come_from_a_file_too(capsys, tmp_path):
    path = tmp_path / "planner.toml"
    path.write_text('sla = "ttft=200ms"\nmin = { prefill = 3 }\ninterval = "2s"\n')
    arguments = [*COMMON[:5], "--config", str(path), "-o", "json"]
    assert main(arguments) == 0
    document = json.loads(capsys.readouterr().out)
    assert document["replicas"]["prefill"]["min"] == 3
    assert document["sla"] == {"ttft_ms": 200.0, "itl_ms": None, "attainment": 0.99}


def test_the_budget_holds_from_the_first_instant(printed):
    document = printed("--amplify", "20", "--start", "2m", "--max-gpus", "4")
    assert document["peak_gpus"] == 4


BAD = [
    pytest.param(["--trace", "no.csv"], 2, "trace no.csv: no such file", id="trace"),
    pytest.param(["--sla", "ttft=200"], 2, "a duration needs a unit", id="sla"),
    pytest.param(["--profile", "lama"], 2, "profile 'lama': not bundled", id="profile"),
    pytest.param(["--prefill", "2"], 2, "--decode is missing", id="half a fleet"),
    pytest.param(
        ["--aggregated", "1", "--decode", "1"], 2, "one or the other", id="two topologies"
    ),
    pytest.param(
        ["--prefill", "2", "--decode", "3", "--max-gpus", "4"],
        2,
        "begin with holds 5 GPUs",
        id="budget",
    ),
    pytest.param(["--prefill", "0"], 2, "0 is not in the range x>=1", id="no replicas"),
    pytest.param(["--speed", "0"], 2, "speed 0: must be", id="speed"),
    pytest.param(["--speed", "2", "--swing", "1:2"], 2, "--speed with --swing", id="both"),
    pytest.param(["--period", "9s"], 2, "--period without --swing", id="period alone"),
    pytest.param(["--swing", "6"], 2, "must be two speeds", id="swing"),
    pytest.param(["--swing", "6:1"], 2, "at least the first", id="swing order"),
    pytest.param(["--head", "60"], 2, "--duration 60: a duration needs a unit", id="head"),
    pytest.param(["--cold-start", "-3s"], 2, "--cold-start -3s", id="cold start"),
    pytest.param(["--min", "decod=2"], 2, "unknown role 'decod'", id="role"),
    pytest.param(["--sla", "ttft=1ms"], 4, "no number of replicas meets it", id="infeasible"),
    pytest.param(
        ["--static", "--speed", "60", "--max", "prefill=2,decode=2"],
        4,
        "a fixed fleet of 2 prefill and 2 decode replicas reaches only",
        id="no fixed fleet does",
    ),
]


@pytest.mark.parametrize(("flags", "code", "message"), BAD)
def test_a_mistake_is_one_line_with_a_hint(refused, flags, code, message):
    arguments = [*COMMON, *flags]
    if flags[0] == "--sla":  # repeated targets would clash with the common ones
        arguments = [*COMMON[:5], *flags]
    found, error, _ = refused(*arguments)
    assert found == code
    assert message in error


def test_a_missing_profile_names_one(capsys):
    assert main([*COMMON[:3], "--sla", "ttft=1s"]) == 2
    assert "hint: --profile llama-3.1-8b-fp8-h200" in capsys.readouterr().err


def test_the_oracle_needs_no_more_than_the_best_fixed_fleet(printed):
    document = printed("--static", "--oracle", "--amplify", "6", "--cold-start", "5s")
    oracle = document["oracle"]
    assert oracle["attainment"] >= 0.99
    assert oracle["work_bound_gpu_hours"] <= oracle["gpu_hours"]
    assert document["gpu_hours_over_oracle"] >= 1


def test_a_load_that_not_even_the_oracle_meets_is_said_to_be_one(capsys):
    few = ["--prefill", "1", "--decode", "1", "--cold-start", "2m", "--head", "1m"]
    assert main([*COMMON, *few, "--amplify", "20", "--oracle"]) == 0
    assert "oracle: only " in capsys.readouterr().out
