"""The parts of a local deployment that need no process."""

from pathlib import Path
from typing import get_args

import pytest

from connectors.circus.daemon import socket_directory
from connectors.circus.processes import Child
from planner.cli.local.choices import Choices, choose
from planner.cli.local.lock import hold_lock, is_running
from planner.cli.local.processes import Ports, frontend_command, planner_command, role_specs
from planner.cli.local.ready import Lives, last_line
from planner.cli.local.shutdown import clear, waves
from planner.cli.serve import ROUTERS, command
from planner.core.role import Role
from planner.errors import ConfigError
from runtime.router.strategy import StrategyName

PORTS = Ports(http=1, etcd=2, etcd_peer=3, nats=4)


def chosen(state: Path, *flags: str) -> Choices:
    return choose(command.make_context("serve", ["--state-dir", str(state), *flags]).params)


def test_one_deployment_holds_a_folder(tmp_path: Path) -> None:
    assert not is_running(tmp_path)
    with hold_lock(tmp_path):
        assert is_running(tmp_path)
        with pytest.raises(ConfigError, match="a deployment runs already"), hold_lock(tmp_path):
            pass
    assert not is_running(tmp_path)


def test_what_asks_ends_before_what_answers() -> None:
    names = {"etcd", "nats", "decode-2", "prefill-1", "frontend", "planner"}

    assert waves(names) == [["planner"], ["frontend"], ["decode-2", "prefill-1"], ["etcd", "nats"]]
    assert waves({"etcd"}) == [["etcd"]]
    assert waves(set()) == []


@pytest.mark.parametrize(
    ("log", "told"),
    [
        pytest.param("a\nb\n\n", "b", id="the last line"),
        pytest.param("error: it broke\n\nhint: mend it\n", "it broke", id="an error"),
        pytest.param("", "it said nothing", id="silence"),
        pytest.param(None, "it left no log", id="no log"),
    ],
)
def test_a_failure_is_quoted(tmp_path: Path, log: str | None, told: str) -> None:
    path = tmp_path / "x.log"
    if log is not None:
        path.write_text(log)

    assert last_line(path) == told


def test_a_process_that_keeps_ending_is_broken() -> None:
    lives = Lives()
    seen = [
        lives.broken([Child(pid=pid, name="decode-1", gpus=()), Child(pid=9, name="etcd", gpus=())])
        for pid in (1, 1, 2, 3)
    ]

    assert seen == [None, None, None, "decode-1"]


def test_sockets_lie_in_the_state_folder_where_they_fit(tmp_path: Path) -> None:
    near = socket_directory(tmp_path)
    far = socket_directory(tmp_path / ("x" * 100))

    assert near == tmp_path / "run"
    assert not far.is_relative_to(tmp_path)
    assert {path.stat().st_mode & 0o777 for path in (near, far)} == {0o700}
    clear(f"ipc://{far}/circus", tmp_path / "deployment.json")
    assert not far.exists()


@pytest.mark.parametrize(
    ("flags", "replicas"),
    [
        pytest.param("", {Role.PREFILL: 1, Role.DECODE: 1}, id="default"),
        pytest.param("--prefill 0 --decode 3", {Role.PREFILL: 0, Role.DECODE: 3}, id="no P"),
        pytest.param("--aggregated 2", {Role.AGGREGATED: 2}, id="aggregated"),
    ],
)
def test_replicas_are_those_asked_for(
    tmp_path: Path, flags: str, replicas: dict[Role, int]
) -> None:
    assert chosen(tmp_path, *flags.split()).replicas == replicas


def test_the_frontend_is_told_the_targets(tmp_path: Path) -> None:
    arguments = frontend_command(chosen(tmp_path, "--sla=ttft=1.5s,itl=20ms"), PORTS)

    assert {"--ttft-target-ms=1500", "--itl-target-ms=20", "--port=1"} <= set(arguments)


@pytest.mark.parametrize("flags", [[], ["--router=kv"]], ids=["default", "kv"])
def test_the_frontend_is_told_how_to_route(tmp_path: Path, flags: list[str]) -> None:
    arguments = frontend_command(chosen(tmp_path, *flags), PORTS)
    strategy = flags[0].removeprefix("--router=") if flags else "least_loaded"
    assert f"--strategy={strategy}" in arguments


def test_every_strategy_that_needs_no_instance_can_be_chosen() -> None:
    assert {*ROUTERS, "direct"} == set(get_args(StrategyName))


@pytest.mark.parametrize(("planner", "observes"), [("observe", True), ("apply", False)])
def test_the_planner_acts_only_when_told_to(tmp_path: Path, planner: str, observes: bool) -> None:
    assert ("--observe" in planner_command(chosen(tmp_path, "--planner", planner))) is observes


def test_workers_are_told_files_not_names(tmp_path: Path) -> None:
    spec = role_specs(chosen(tmp_path), PORTS)[Role.DECODE]
    arguments = spec.command_for("decode-1", parent=7)
    values = dict(part.split("=", 1) for part in arguments if "=" in part)

    assert Path(values["--profile"]).is_file()
    assert Path(values["--model"], "tokenizer.json").is_file()
    assert (values["--name"], values["--role"]) == ("decode-1", "decode")
    assert arguments[arguments.index("--parent") + 1] == "7"
