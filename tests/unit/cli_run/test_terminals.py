"""What commands write where nobody, or a terminal of some kind, looks at it."""

import os
import pty
import subprocess
import sys
from pathlib import Path

import pytest

from planner.cli.main import main
from planner.cli.output import is_interactive

ROOT = Path(__file__).parents[3]
ESCAPE = b"\x1b["
COLOUR = b"\x1b[3"
SHOW = ["config", "show"]


def on_terminal(folder: Path, *arguments: str, **variables: str) -> bytes:
    """Return what the program writes when its stdout and stderr are a terminal."""
    leader, follower = pty.openpty()
    done = subprocess.Popen(
        [sys.executable, "-m", "planner", *arguments],
        stdout=follower, stderr=follower, stdin=subprocess.DEVNULL, cwd=folder,
        env={**os.environ, "PYTHONPATH": str(ROOT), "TERM": "xterm", **variables},
    )  # fmt: skip
    os.close(follower)
    written = b""
    try:
        while chunk := os.read(leader, 65536):
            written += chunk
    except OSError:  # how Linux says that nobody writes there any more
        pass
    finally:
        os.close(leader)
    assert done.wait(30) == 0
    return written


def test_no_colour_where_none_is_wanted(tmp_path: Path) -> None:
    assert ESCAPE in on_terminal(tmp_path, *SHOW)
    assert COLOUR not in on_terminal(tmp_path, *SHOW, NO_COLOR="1")
    assert ESCAPE not in on_terminal(tmp_path, *SHOW, TERM="dumb")


def test_no_escape_where_no_terminal_is(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(SHOW) == 0
    out = capsys.readouterr().out
    assert "\x1b" not in out
    assert all(len(line) <= 100 for line in out.splitlines())


@pytest.mark.parametrize(
    ("terminal", "kind", "expected"),
    [(True, "xterm", True), (True, "dumb", False), (False, "xterm", False)],
)
def test_only_a_capable_terminal_is_redrawn(monkeypatch, terminal, kind, expected) -> None:
    monkeypatch.setenv("TERM", kind)
    monkeypatch.setattr(sys.stdout, "isatty", lambda: terminal)
    assert is_interactive(sys.stdout) is expected


@pytest.mark.parametrize(
    "arguments",
    [
        pytest.param(["plan", "--sla", "ttft=200ms,itl=20ms", "--window", "300ms"], id="plan"),
        pytest.param(
            ["run", "--observe", "--once", "--sla", "ttft=200ms,itl=20ms", "--interval", "300ms"],
            id="run",
        ),
    ],
)
def test_quiet_leaves_results_and_errors(deployed, capsys, arguments) -> None:
    with deployed() as target:
        assert main([*arguments, "-q", *target]) == 0
    assert capsys.readouterr().err == ""


@pytest.mark.parametrize(
    "arguments",
    [
        pytest.param(["stop", "-q"], id="stop"),
        pytest.param(["config", "init", "-q", "FILE"], id="config init"),
        pytest.param(["-q", "config", "init", "FILE"], id="before the command"),
    ],
)
def test_quiet_says_nothing_of_what_went_well(arguments, tmp_path, capsys) -> None:
    file = str(tmp_path / "own.toml")
    assert main([file if one == "FILE" else one for one in arguments]) == 0
    captured = capsys.readouterr()
    assert (captured.out, captured.err) == ("", "")
