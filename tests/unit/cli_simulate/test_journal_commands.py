"""`planner history` and `planner explain` read what a planner wrote."""

import json

import pytest

from planner.cli.main import main
from planner.core.observation import Observation, Replicas, Traffic
from planner.core.plan import Alternative, Decision, Gpus, Plan, Reason, Step
from planner.core.role import Role
from planner.journal import Entry, Journal, Run

SLA = "ttft=200ms,itl=20ms,attainment=99%"


def entry(at: float, *, desired: int, **choices) -> Entry:
    step = Step(reason=Reason.DEMAND_FORECAST, before=2, after=3, inputs={"demand_rps": 41.2})
    held = {"remaining_seconds": 220.0}
    back = Step(reason=Reason.SCALE_DOWN_STABILIZED, before=3, after=desired, inputs=held)
    grows = Decision(
        role=Role.PREFILL,
        current=2,
        raw=3,
        desired=desired,
        steps=(step, back),
        alternatives=(
            Alternative(replicas=2, attainment=0.971, cost_per_hour=7.0),
            Alternative(replicas=3, attainment=0.994, cost_per_hour=10.5),
            Alternative(replicas=4, attainment=1.0, cost_per_hour=14.0),
        ),
    )
    stays = Decision(role=Role.DECODE, current=4, raw=4, desired=4, steps=())
    return Entry(
        at=at,
        observation=Observation(
            at=at,
            fleet={Role.PREFILL: Replicas(ready=1, starting=1), Role.DECODE: Replicas(ready=4)},
            traffic=Traffic(
                seconds=5, arrived=10, isl_sum=5000, isl_squared_sum=1e7, finished=4, osl_sum=400
            ),
            age_seconds=0.5,
        ),
        plan=Plan(
            at=at,
            decisions={Role.PREFILL: grows, Role.DECODE: stays},
            gpus=Gpus(current=6, desired=4 + desired, budget=8),
            cost_per_hour=24.5,
            attainment=0.994,
        ),
        **choices,
    )


@pytest.fixture
def path(tmp_path, monkeypatch):
    monkeypatch.setenv("PLANNER_STATE_DIR", str(tmp_path))
    monkeypatch.delenv("PLANNER_JOURNAL", raising=False)
    path = tmp_path / "journal.sqlite"
    with Journal.open(path) as journal:
        run = journal.begin(Run(started=0.0, mode="acts", sla=SLA))
        journal.append(run, entry(1000.0, desired=2))
        journal.append(run, entry(2000.0, desired=3, outcome="applied", started=("prefill-3",)))
        journal.append(
            run, Entry(at=3000.0, observation=None, plan=None, note="etcd does not answer")
        )
    return path


def test_history_lists_the_latest_last(path, capsys):
    assert main(["history"]) == 0
    lines = [line.split() for line in capsys.readouterr().out.splitlines()]
    assert lines[0] == ["id", "at", "prefill", "decode", "why", "result"]
    assert [line[0] for line in lines[1:]] == ["1", "2", "3"]
    assert lines[2][3:] == ["2", "->", "3", "4", "ScaleDownStabilized", "applied"]
    assert lines[3][-4:] == ["etcd", "does", "not", "answer"]


@pytest.mark.parametrize(
    ("flags", "ids"),
    [
        pytest.param([], [1, 2, 3], id="all"),
        pytest.param(["--changed"], [2, 3], id="changed"),
        pytest.param(["--limit", "1"], [3], id="limit"),
        pytest.param(["--role", "decode"], [], id="a role without reasons"),
        pytest.param(["--role", "prefill", "--reason", "demandforecast"], [1, 2], id="reason"),
        pytest.param(["--since", "1h"], [], id="since"),
        pytest.param(["--run", "1"], [1, 2, 3], id="run"),
        pytest.param(["--run", "2"], [], id="another run"),
        pytest.param(["--mode", "acts", "--limit", "2"], [2, 3], id="mode"),
        pytest.param(["--mode", "observes"], [], id="another mode"),
    ],
)
def test_history_in_json(path, capsys, flags, ids):
    assert main(["history", *flags, "-o", "json"]) == 0
    document = json.loads(capsys.readouterr().out)
    assert [decision["id"] for decision in document["decisions"]] == ids


def test_history_in_lines_of_json(path, capsys):
    assert main(["history", "--changed", "-o", "jsonl"]) == 0
    rows = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert [(row["schema_version"], row["id"], row["run"]) for row in rows] == [
        ("1", 2, 1), ("1", 3, 1)
    ]  # fmt: skip


def test_runs_and_modes_are_told_apart_where_there_are_several(path, capsys):
    with Journal.open(path) as journal:
        run = journal.begin(Run(started=3500.0, mode="observes", sla=SLA))
        journal.append(run, entry(4000.0, desired=3, outcome="observed"))
    assert main(["history"]) == 0
    lines = [line.split() for line in capsys.readouterr().out.splitlines()]
    assert lines[0][:4] == ["id", "at", "run", "planner"]
    assert lines[1][3:5] == ["1", "acts"]
    assert lines[-1][3:5] == ["2", "observes"]
    assert main(["history", "--mode", "observes", "-o", "json"]) == 0
    assert [d["id"] for d in json.loads(capsys.readouterr().out)["decisions"]] == [4]


def test_a_row_of_history_has_the_numbers_and_the_reasons(path, capsys):
    assert main(["history", "--changed", "-o", "json"]) == 0
    row = json.loads(capsys.readouterr().out)["decisions"][0]
    assert row["outcome"] == "applied"
    assert row["changed"] is True
    assert row["decisions"][0] == {
        "role": "prefill",
        "current": 2,
        "raw": 3,
        "desired": 3,
        "reasons": ["DemandForecast", "ScaleDownStabilized"],
    }


def test_explain_shows_every_step_with_its_figures(path, capsys):
    assert main(["explain", "2"]) == 0
    assert capsys.readouterr().out.splitlines()[1:] == [
        "saw: 2/s arrived, 500 tokens in, 100 out, prefill 1 ready + 1 starting, decode 4 ready, "
        "metrics 500ms old",
        "  + prefill    2 -> 3 replicas (+1)",
        "      2 -> 3     DemandForecast: demand_rps 41.2",
        "      3          ScaleDownStabilized: 3 would do, held for 3m40s more",
        "      attains    2: 97.1% $7.00/h, 3: 99.4% $10.50/h, 4: 100% $14.00/h",
        "    decode     4   (no change)",
        "GPUs 6 -> 7 of 8, $24.50 per hour, predicted attainment 99.4%",
        "result: applied; started prefill-3",
    ]


def test_explain_latest_tells_what_went_wrong(path, capsys):
    assert main(["explain"]) == 0
    assert "result: not acted on; etcd does not answer" in capsys.readouterr().out


def test_explain_in_json(path, capsys):
    assert main(["explain", "2", "-o", "json"]) == 0
    document = json.loads(capsys.readouterr().out)
    assert document["decisions"][0]["steps"][0] == {
        "reason": "DemandForecast",
        "before": 2,
        "after": 3,
        "inputs": {"demand_rps": 41.2},
    }
    assert document["decisions"][0]["alternatives"][1] == {
        "replicas": 3,
        "attainment": 0.994,
        "cost_per_hour": 10.5,
    }
    assert document["gpus"] == {"current": 6, "desired": 7, "budget": 8}
    assert document["sla"]["ttft_ms"] == 200.0
    assert document["observation"]["fleet"]["prefill"]["starting"] == 1
    assert document["started"] == ["prefill-3"]


@pytest.mark.parametrize(
    ("arguments", "code", "message", "hint"),
    [
        pytest.param(["explain", "99"], 1, "decision 99: not in", "planner history", id="id"),
        pytest.param(["explain", "last"], 2, "neither latest nor the id", "", id="word"),
        pytest.param(["history", "--since", "1"], 2, "needs a unit", "--since 1s", id="since"),
        pytest.param(["history", "--reason", "Mood"], 2, "'Mood' is not one of", "", id="reason"),
        pytest.param(["history", "--limit", "0"], 2, "0 is not in the range", "", id="limit"),
        pytest.param(
            ["explain", "--journal", "none.sqlite"], 1, "no journal at none.sqlite",
            "planner run --observe", id="no journal",
        ),
    ],
)  # fmt: skip
def test_a_mistake_is_one_line_with_a_hint(refused, path, arguments, code, message, hint):
    found, error, told = refused(*arguments)
    assert found == code
    assert message in error
    assert told.startswith(hint)


def test_an_empty_journal_says_which_command_fills_it(tmp_path, capsys):
    path = tmp_path / "new.sqlite"
    Journal.open(path).close()
    assert main(["history", "--journal", str(path)]) == 0
    captured = capsys.readouterr()
    assert captured.out == ""
    assert "no decisions in" in captured.err
    assert "planner run --observe" in captured.err
    assert main(["explain", "--journal", str(path)]) == 1
    assert "planner run --observe" in capsys.readouterr().err


def test_nothing_that_matches_is_not_an_error(path, capsys):
    assert main(["history", "--since", "1s"]) == 0
    assert "matches" in capsys.readouterr().err
