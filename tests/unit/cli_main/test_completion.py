"""Shell completion: the scripts load in their shells and complete what the program knows."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from planner.cli.main import COMMANDS, main

# What a user's shell would do: load the script, put the cursor behind a line, ask for completions.
BASH = """
eval "$(planner completion bash)"
COMP_WORDS=({line}) COMP_CWORD={index}
_planner_completion planner
printf '%s\\n' "${{COMPREPLY[@]}}"
"""
ZSH = """
autoload -Uz compinit && compinit -D -u
eval "$(planner completion zsh)"
print registered $_comps[planner]
compadd() {{ print -l -- $completions }}
_describe() {{ print -l -- $completions_with_descriptions }}
words=({line}) CURRENT=$(( {index} + 1 ))
_planner_completion
"""
FISH = """
planner completion fish | source
complete -C "{text}"
"""


@pytest.fixture
def shell(tmp_path: Path) -> "Shell":
    return Shell(tmp_path)


class Shell:
    """A shell in which `planner` is this checkout's."""

    def __init__(self, folder: Path) -> None:
        program = folder / "planner"
        program.write_text(f"#!{sys.executable}\nfrom planner.cli.main import run\nrun()\n")
        program.chmod(0o755)
        self._env = {
            **os.environ,
            "PATH": f"{folder}:{os.environ['PATH']}",
            "PYTHONPATH": str(Path(__file__).parents[3]),
            "HOME": str(folder),
        }

    def run(self, name: str, script: str) -> list[str]:
        path = shutil.which(name)
        if path is None:
            pytest.skip(f"{name} is not installed")
        done = subprocess.run(
            [path, "-c", script],
            env=self._env, capture_output=True, text=True, timeout=60, check=False,
        )  # fmt: skip
        assert done.stderr == ""
        return done.stdout.splitlines()


LINES = [
    pytest.param(["st"], {"status", "stop"}, id="command"),
    pytest.param(["status", "--w"], {"--watch"}, id="flag"),
    pytest.param(["history", "--mode", ""], {"acts", "observes"}, id="value"),
    pytest.param(["config", "v"], {"validate"}, id="command of a command"),
    pytest.param(["run", "--forecaster", ""], {"level", "ensemble"}, id="value of a setting"),
    pytest.param(["plan", "--profile", "qwen"], {"qwen3-32b-h200"}, id="profile"),
    pytest.param(["explain", "KvP"], {"KvPressure"}, id="reason"),
]


@pytest.mark.parametrize(("words", "expected"), LINES)
def test_bash(shell: Shell, words: list[str], expected: set[str]) -> None:
    line = " ".join(["planner", *(word or "''" for word in words)])
    found = shell.run("bash", BASH.format(line=line, index=len(words)))
    assert {word for word in found if word} == expected


@pytest.mark.parametrize(("words", "expected"), LINES[:3])
def test_zsh(shell: Shell, words: list[str], expected: set[str]) -> None:
    line = " ".join(["planner", *(word or "''" for word in words)])
    registered, *found = shell.run("zsh", ZSH.format(line=line, index=len(words)))
    assert registered == "registered _planner_completion"
    assert {word.partition(":")[0] for word in found if word} == expected


@pytest.mark.parametrize(("words", "expected"), LINES[:3])
def test_fish(shell: Shell, words: list[str], expected: set[str]) -> None:
    found = shell.run("fish", FISH.format(text=" ".join(["planner", *words])))
    assert {word.split("\t")[0] for word in found} == expected


def test_behind_what_is_no_command_nothing_is_complained_of(shell: Shell) -> None:
    shell.run("bash", BASH.format(line="planner nonsense --", index=2))


def test_commands_are_completed_without_loading_one(shell: Shell) -> None:
    code = (
        "import os, sys; sys.argv = ['planner'];"
        "os.environ |= {'_PLANNER_COMPLETE': 'bash_complete',"
        " 'COMP_WORDS': 'planner ', 'COMP_CWORD': '1'};"
        "from planner.cli.main import main\n"
        "try: main()\n"
        "except SystemExit: pass\n"
        "loaded = {n for n in sys.modules if n.startswith('planner.cli.')};"
        f"loaded &= {{f'planner.cli.{{n}}' for n in {list(COMMANDS)!r}}};"
        "sys.exit(str(loaded) if loaded else 0)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")
    assert {line.partition(",")[2] for line in done.stdout.splitlines()} == set(COMMANDS)


def test_an_unknown_shell_is_answered_with_the_nearest(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["completion", "bsh"]) == 2
    assert "did you mean bash?" in capsys.readouterr().err
