"""Every exit code is the end of some command."""

import pytest

from planner.cli.exits import Exit
from planner.cli.main import main

SIZE = ["size", "--profile", "qwen3-32b-h200", "--rate", "2/s", "--isl", "3000", "--osl", "300"]


@pytest.mark.parametrize(
    ("arguments", "code"),
    [
        pytest.param([*SIZE, "--sla", "ttft=1s,itl=40ms"], Exit.DONE, id="done"),
        pytest.param(["stop"], Exit.DONE, id="nothing to stop"),
        pytest.param(["--version"], Exit.DONE, id="version"),
        pytest.param(["status"], Exit.FAILED, id="nothing runs"),
        pytest.param(["explain"], Exit.FAILED, id="no journal"),
        pytest.param(["plan", "--intervall", "5s"], Exit.USAGE, id="no such flag"),
        pytest.param(["plan", "--sla", "ttft=5"], Exit.USAGE, id="a bad value"),
        pytest.param(["config", "validate", "none.toml"], Exit.USAGE, id="no such file"),
        pytest.param([*SIZE, "--sla", "ttft=1ms,itl=40ms"], Exit.INFEASIBLE, id="infeasible"),
    ],
)
def test_a_command_ends_with(arguments: list[str], code: Exit) -> None:
    assert main(arguments) == code


def test_a_change_that_is_due_has_its_code_only_when_asked_for(deployed) -> None:
    plan = ["plan", "--sla", "ttft=200ms,itl=20ms", "--window", "400ms"]
    with deployed(prefill=2) as target:
        assert main([*plan, "--detailed-exitcode", *target]) == Exit.CHANGE_DUE
        assert main([*plan, *target]) == Exit.DONE


def test_ctrl_c_has_its_code(monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupted(_: object) -> bool:
        raise KeyboardInterrupt

    monkeypatch.setattr("planner.cli.local.lock.is_running", interrupted)
    assert main(["status"]) == Exit.INTERRUPTED
