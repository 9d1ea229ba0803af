"""What keeps `planner dashboard` from starting is one line and a hint."""

import socket
from pathlib import Path

import pytest

from planner.cli import dashboard
from planner.cli.main import main


def _refused(capsys: pytest.CaptureFixture[str], *words: str) -> str:
    assert main(["dashboard", *words]) == 2
    told = capsys.readouterr().err
    assert told.startswith("error: ")
    assert "\n\nhint: " in told
    return told


def test_without_the_extra(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(dashboard, "find_spec", lambda _: None)
    assert "pip install 'planner[dashboard]'" in _refused(capsys)


@pytest.mark.parametrize(
    "words",
    [
        ("--port", "70000"),
        ("--port", "http"),
        ("--host", "no.such.host.invalid"),
        ("--journal", "a", "--state-dir", "b"),
    ],
    ids=" ".join,
)
def test_a_value_that_cannot_be_used(
    capsys: pytest.CaptureFixture[str], words: tuple[str, ...], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(dashboard, "find_spec", lambda _: object())
    monkeypatch.delenv("PLANNER_JOURNAL", raising=False)
    _refused(capsys, *words)


def test_a_port_that_is_taken(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    monkeypatch.setattr(dashboard, "find_spec", lambda _: object())
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = str(taken.getsockname()[1])
        told = _refused(capsys, "--state-dir", str(tmp_path), "--port", port)
    assert f"--port {port}: address already in use" in told
    assert "hint: planner dashboard --port 0" in told
