"""`planner explain` for a setting and for a reason."""

import json

import pytest

from planner.cli.main import main
from planner.cli.meanings import MEANINGS
from planner.config import Settings, from_environment, settle
from planner.core.plan import Reason


@pytest.mark.parametrize("name", Settings.model_fields)
def test_every_setting_is_explained_by_a_value_that_it_takes(name, tmp_path, capsys) -> None:
    assert main(["explain", name]) == 0
    first, *lines = capsys.readouterr().out.splitlines()
    assert first.startswith(f"{name}: ")
    told = dict(line.split(maxsplit=1) for line in lines)
    assert list(told) == ["default", "now", "flag", "variable", "file"]
    variable, _, value = told["variable"].partition("=")
    settle(from_environment({variable: value}))
    (tmp_path / "own.toml").write_text(told["file"])
    assert main(["config", "show", "--config", str(tmp_path / "own.toml")]) == 0


def test_a_setting_tells_its_value_and_where_it_was_set(monkeypatch, tmp_path, capsys) -> None:
    file = tmp_path / "own.toml"
    file.write_text('cold_start = "9s"\n')
    assert main(["explain", "cold-start", "--config", str(file)]) == 0
    assert f"  now       9s   ({file}: cold_start)\n" in capsys.readouterr().out
    monkeypatch.setenv("PLANNER_COLD_START", "40s")
    assert main(["explain", "COLD_START", "--config", str(file), "-o", "json"]) == 0
    told = json.loads(capsys.readouterr().out)
    assert (told["value"], told["origin"], told["default"]) == ("40s", "PLANNER_COLD_START", None)
    assert (told["flag"], told["variable"]) == ("--cold-start", "PLANNER_COLD_START")


def test_every_reason_has_a_meaning() -> None:
    assert list(MEANINGS) == list(Reason)


@pytest.mark.parametrize("reason", Reason)
def test_every_reason_is_explained_in_lines_that_fit(reason, capsys) -> None:
    assert main(["explain", reason.lower()]) == 0
    out = capsys.readouterr().out
    assert out.startswith(f"{reason}: ")
    assert "\n  look at   " in out
    assert "\n  do        " in out
    assert all(len(line) <= 100 for line in out.splitlines())
    assert main(["explain", reason, "-o", "json"]) == 0
    assert json.loads(capsys.readouterr().out)["means"] == MEANINGS[reason].means


@pytest.mark.parametrize(
    ("word", "hint"),
    [
        ("cold_strat", "did you mean `planner explain cold_start`?"),
        ("kvpresure", "did you mean `planner explain KvPressure`?"),
        ("lates", "did you mean `planner explain latest`?"),
        ("zzz", "planner explain --help"),
    ],
)
def test_a_word_that_is_nothing_is_answered_with_the_nearest(refused, word, hint) -> None:
    code, error, told = refused("explain", word)
    assert (code, told) == (2, hint)
    assert error.startswith(f"error: '{word}' is neither latest nor the id of a decision")
