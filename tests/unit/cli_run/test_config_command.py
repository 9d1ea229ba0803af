"""`planner config`: what is set, a file to start from, and what is wrong in one."""

import json
import tomllib
from pathlib import Path

import pytest

from planner.cli.configuring.example import filled, toml
from planner.cli.main import main
from planner.config import Settings, from_file, settle

ORIGINS = [
    pytest.param("interval", "9s", "PLANNER_INTERVAL", id="environment over file"),
    pytest.param("max_gpus", 4, "planner.toml: max_gpus", id="file"),
    pytest.param("min", {"decode": 2}, "--min", id="flag over file"),
    pytest.param("tolerance", "5%", "default", id="default"),
]


@pytest.fixture(autouse=True)
def folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    return tmp_path


def validated(capsys) -> tuple[int, list[tuple[str, str]]]:
    """Check planner.toml; return the code, and each problem's message and hint."""
    code = main(["config", "validate", "-o", "json"])
    told = json.loads(capsys.readouterr().out)
    assert told["valid"] is (code == 0)
    return code, [(one["message"], one["hint"]) for one in told["problems"]]


@pytest.mark.parametrize(("name", "value", "origin"), ORIGINS)
def test_every_value_is_shown_with_its_origin(monkeypatch, capsys, name, value, origin) -> None:
    Path("planner.toml").write_text('interval = "2s"\nmax_gpus = 4\nmin = { decode = 1 }\n')
    monkeypatch.setenv("PLANNER_INTERVAL", "9s")
    flags = ["--config", "planner.toml", "--min", "decode=2", "-o", "json"]
    assert main(["config", "show", *flags]) == 0
    settings = json.loads(capsys.readouterr().out)["settings"]
    assert set(settings) == set(Settings.model_fields)
    assert settings[name] == {"value": value, "origin": origin}


def test_only_what_is_set_is_shown_when_asked(capsys, monkeypatch, tmp_path) -> None:
    monkeypatch.chdir(tmp_path)
    flags = ["--state-dir", ".", "--max", "decode=3,prefill=2"]
    assert main(["config", "show", "--changed", *flags]) == 0
    header, *rows = [line.split() for line in capsys.readouterr().out.splitlines()]
    assert header == ["setting", "value", "origin"]
    assert ["max", "decode=3,prefill=2", "--max"] in rows
    assert {row[0] for row in rows} == {"max", "state_dir"}


def test_a_new_file_is_right_and_says_what_was_given(capsys) -> None:
    flags = ["--sla", "ttft=1s,itl=40ms", "--min", "decode=2", "--max-gpus", "8", "--observe"]
    assert main(["config", "init", *flags]) == 0
    assert "planner run --config planner.toml" in capsys.readouterr().err
    settings = settle(from_file(Path("planner.toml"))).settings
    assert str(settings.sla) == "ttft=1s,itl=40ms,attainment=99%"
    assert (dict(settings.min), settings.max_gpus, settings.observe) == ({"decode": 2}, 8, True)
    assert validated(capsys) == (0, [])


def test_every_setting_has_its_place_in_a_new_file() -> None:
    values = {
        **{name: "x" for name, field in Settings.model_fields.items() if field.default is None},
        "servers": {"aggregated": ["http://h:1"]},
        "parallelism": {"decode": "tp2"},
    }
    assert tomllib.loads(filled(values)).items() >= values.items()


def test_a_file_that_is_there_stays(capsys) -> None:
    Path("planner.toml").write_text("mine")
    assert main(["config", "init"]) == 2
    assert "planner config init planner.toml --force" in capsys.readouterr().err
    assert Path("planner.toml").read_text() == "mine"
    assert main(["config", "init", "--force"]) == 0
    assert main(["config", "init", "-"]) == 0
    assert capsys.readouterr().out == Path("planner.toml").read_text()
    assert main(["config", "init", "no/such/folder.toml"]) == 2


@pytest.mark.parametrize(
    ("text", "message", "hint"),
    [
        pytest.param(
            "headroom = 20", "planner.toml: headroom 20: input should be less than or equal to 10",
            "A factor on the replicas", id="limit",
        ),
        pytest.param(
            'interval = "5"', "planner.toml: interval 5: a duration needs a unit (ms or s)",
            'interval = "5s"', id="unit",
        ),
        pytest.param(
            "intervall = 5", "planner.toml: intervall: unknown setting", "did you mean interval?",
            id="name",
        ),
        pytest.param(
            'sla = "ttft=1s"\nmin = { decode = 3 }\nmax = { decode = 2 }',
            "planner.toml: min and max of decode: maximum 2 replicas: must be at least 3",
            "raise the maximum", id="bounds that cross",
        ),
        pytest.param(
            'profile = "quen3-32b-h200"', "profile 'quen3-32b-h200': not bundled",
            "did you mean qwen3-32b-h200?", id="profile",
        ),
        pytest.param(
            '[roles.decode]\ncommand = "x"\nfirst_port = 1',
            "planner.toml: roles.decode.command has no {port}", "command = ", id="fleet",
        ),
        pytest.param("interval = ", "planner.toml: not TOML", "write interval", id="not TOML"),
        pytest.param(None, "planner.toml: no such file", "planner config init", id="no file"),
    ],
)  # fmt: skip
def test_a_problem_names_file_key_value_and_limit(capsys, text, message, hint) -> None:
    if text is not None:
        Path("planner.toml").write_text(text)
    code, [(told, help_)] = validated(capsys)
    assert code == 2
    assert told.startswith(message)
    assert help_.startswith(hint)


def test_all_problems_are_told_at_once(monkeypatch, capsys) -> None:
    Path("planner.toml").write_text('headroom = 20\nintervall = "5s"\ntolerance = "300%"\n')
    monkeypatch.setenv("PLANNER_INTERVALS", "5s")
    code, problems = validated(capsys)
    assert code == 2
    assert [message.split()[1] for message, _ in problems] == [
        "headroom", "intervall:", "tolerance", "unknown"
    ]  # fmt: skip
    assert main(["config", "validate"]) == 2
    captured = capsys.readouterr()
    assert (captured.out, captured.err.count("error: "), captured.err.count("hint: ")) == ("", 4, 4)


def test_a_bad_variable_is_told_beside_a_good_file(monkeypatch, capsys) -> None:
    Path("planner.toml").write_text('sla = "ttft=1s"\n')
    monkeypatch.setenv("PLANNER_INTERVAL", "5")
    code, [(message, hint)] = validated(capsys)
    assert (code, message, hint) == (
        2, "PLANNER_INTERVAL 5: a duration needs a unit (ms or s)", "PLANNER_INTERVAL 5s"
    )  # fmt: skip


@pytest.mark.parametrize(
    ("value", "text"),
    [(True, "true"), (2.5, "2.5"), ("a\"b", '"a\\"b"'), ({"decode": "tp2"}, '{ decode = "tp2" }')],
    ids=str,
)  # fmt: skip
def test_values_as_toml(value, text) -> None:
    assert toml(value) == text
    assert tomllib.loads(f"x = {text}")["x"] == value


def test_a_subcommand_is_suggested(capsys) -> None:
    assert main(["config", "shwo"]) == 2
    assert "did you mean `planner config show`?" in capsys.readouterr().err
