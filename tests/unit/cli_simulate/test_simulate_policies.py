"""`planner simulate` with other policies: one, several, and the oracle beside them."""

import pytest

from planner.cli.main import main
from planner.cli.sim.options import POLICIES
from planner.peers import PEERS

COMMON = [
    "simulate", "--trace", "bundled:azure-conv", "--profile", "llama-3.1-8b-fp8-h200",
    "--sla", "ttft=200ms,itl=20ms", "--cold-start", "10s",
]  # fmt: skip

pytestmark = pytest.mark.usefixtures("peers", "oracle")


def test_help_names_every_policy():
    assert ("planner", "static", *PEERS) == POLICIES


@pytest.mark.parametrize(
    ("flags", "policy", "most"),
    [
        pytest.param([], "planner", None, id="ours"),
        pytest.param(["--policy", "planner"], "planner", None, id="ours by name"),
        pytest.param(
            ["--policy", "static", "--prefill", "2", "--decode", "1"], "static", 3, id="static"
        ),
        pytest.param(["--policy", "static", "--static"], "static", 2, id="static twice"),
        pytest.param(["--policy", "hpa"], "hpa", 10, id="peer: five of each in minute five"),
        pytest.param(["--policy", "hpa", "--headroom", "2"], "hpa", 20, id="peer with headroom"),
        pytest.param(["--policy", "hpa", "--aggregated", "1"], "hpa", 5, id="peer, aggregated"),
        pytest.param(["--compare", "kpa"], "kpa", 10, id="a comparison of one"),
    ],
)
def test_one_policy(printed, flags, policy, most):
    document = printed(*flags)
    assert document["policy"] == policy
    assert most is None or document["peak_gpus"] == most
    assert "oracle" not in document


def test_what_is_scored_lies_in_a_window(printed):
    document = printed("--static", "--prefill", "1", "--decode", "1", "--score-from", "100s")
    scored = document["scored"]
    assert scored["from_seconds"] == 100
    assert scored["to_seconds"] == pytest.approx(299.6, abs=1)
    assert 0 < scored["requests"] < document["requests"] == 1445
    assert scored["gpu_hours"] == pytest.approx(2 * (scored["to_seconds"] - 100) / 3600)
    assert document["gpu_hours"] > scored["gpu_hours"]
    assert {"attainment", "scale_actions", "ttft_p99_ms", "itl_p99_ms"} <= scored.keys()


@pytest.mark.parametrize(
    ("flags", "start"),
    [
        pytest.param([], 0, id="five minutes: all of it"),
        pytest.param(["--speed", "0.4"], 300, id="twelve minutes: without the first five"),
        pytest.param(["--speed", "0.4", "--score-from", "0s"], 0, id="as told"),
    ],
)
def test_the_window_depends_on_the_length(printed, flags, start):
    document = printed("--static", "--prefill", "1", "--decode", "1", *flags)
    assert document["scored"]["from_seconds"] == start


def test_the_oracle_stands_beside_one_policy(printed):
    document = printed("--policy", "hpa", "--oracle", "--score-from", "100s")
    oracle = document["oracle"]
    assert oracle["method"] == "local search"
    assert oracle["from_seconds"] == 100
    assert 0 < oracle["attainment"] <= 1
    ratio = document["scored"]["gpu_hours"] / oracle["gpu_hours"]
    assert document["gpu_hours_over_oracle"] == pytest.approx(ratio)


def test_a_comparison_is_a_list_in_the_order_asked_for(printed):
    document = printed("--compare", "static, hpa,planner,hpa", "--oracle")
    assert [run["policy"] for run in document["runs"]] == ["static", "hpa", "planner"]
    assert {run["requests"] for run in document["runs"]} == {1445}
    assert all(run["gpu_hours_over_oracle"] > 0 for run in document["runs"])
    assert document["oracle"]["gpu_hours"] > 0
    assert document["trace"] == "bundled:azure-conv"
    assert document["sla"]["ttft_ms"] == 200.0


def test_hands_off_lets_a_policy_watch(printed):
    document = printed("--policy", "hpa", "--hands-off", "10m")
    assert document["scale_actions"] == 0
    assert printed("--policy", "hpa", "--hands-off", "4m")["scale_actions"] == 2


def test_all_start_from_the_same_fleet(printed):
    document = printed("--compare", "hpa,kpa", "--prefill", "3", "--decode", "4")
    first, second = (run["replicas"] for run in document["runs"])
    assert first == second
    assert first["decode"]["max"] == 5


def test_a_comparison_is_a_table(capsys):
    assert main([*COMMON, "--compare", "planner,hpa", "--oracle"]) == 0
    captured = capsys.readouterr()
    lines = captured.out.splitlines()
    assert lines[0].startswith("bundled:azure-conv: 1445 requests in 5m, 4.8")
    names = "policy attainment GPU-hours over oracle scale actions p99 ttft p99 itl peak GPUs"
    assert lines[1].split() == names.split()
    assert [line.split()[0] for line in lines[2:5]] == ["planner", "hpa", "oracle"]
    assert lines[4].split()[3] == "1.00x"
    assert lines[5] == "target 99%; scored: the whole trace; peak GPUs: the whole trace"
    assert "the work alone takes 0.01" in lines[6]
    assert max(map(len, lines)) <= 100
    assert captured.err == ""


def test_a_page_names_the_window_and_the_oracle(capsys):
    assert main([*COMMON, "--oracle", "--score-from", "1m40s"]) == 0
    out = capsys.readouterr().out
    assert "scored: arrivals from 1m40s to 5m: attainment" in out
    assert "times the oracle's 0.22" in out
    assert "oracle: 100% with 0.22 GPU-hours (local search); the work alone takes 0.01" in out


def test_a_comparison_goes_on_where_no_fixed_fleet_holds(printed):
    document = printed("--compare", "static,hpa", "--speed", "60", "--max", "prefill=2,decode=2")
    assert document["runs"][0]["attainment"] < 0.99


BAD = [
    pytest.param(
        ["--policy", "plannr"], "no such policy: 'plannr'", "did you mean planner?", id="typo"
    ),
    pytest.param(
        ["--compare", "hpa,kap"], "no such policy: 'kap'", "did you mean kpa?", id="list typo"
    ),
    pytest.param(
        ["--policy", "magic"],
        "known: planner, static, hpa, kpa",
        "--compare planner,",
        id="unknown",
    ),
    pytest.param(["--compare", ","], "no policy is named", "--compare planner,static", id="empty"),
    pytest.param(
        ["--compare", "hpa", "--policy", "hpa"], "names all policies", "--compare", id="both"
    ),
    pytest.param(
        ["--compare", "hpa", "--static"], "names all policies", "--compare", id="both, static"
    ),
    pytest.param(
        ["--static", "--policy", "hpa"], "choose one", "--policy static", id="two policies"
    ),
    pytest.param(["--headroom", "0"], "greater than or equal to 0.1", "A factor", id="no headroom"),
    pytest.param(
        ["--score-from", "1h"], "the last request arrives at 5m", "--score-from 0s", id="late"
    ),
    pytest.param(["--score-from", "9"], "a duration needs a unit", "--score-from 9s", id="unit"),
    pytest.param(["--hands-off", "9"], "a duration needs a unit", "--hands-off 9s", id="hands off"),
    pytest.param(
        ["--report", "no/such/x.html"],
        "there is no folder no/such",
        "mkdir -p no/such",
        id="folder",
    ),
    pytest.param(["--report", "."], "is a folder", "--report report.html", id="report is a folder"),
]


@pytest.mark.parametrize(("flags", "message", "hint"), BAD)
def test_a_mistake_is_one_line_with_a_hint(refused, flags, message, hint):
    code, error, told = refused(*COMMON, *flags)
    assert code == 2
    assert message in error
    assert told.startswith(hint)
