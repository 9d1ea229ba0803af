"""Progress: silent at first, then what runs, how far it is and how long it will take."""

import pytest

from planner.cli.sim.progress import Progress


class Clock:
    now = 0.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock():
    return Clock()


def test_a_terminal_sees_the_time_left_and_then_nothing(capsys, clock, monkeypatch):
    monkeypatch.setattr("sys.stderr.isatty", lambda: True)
    with Progress(2, clock=clock) as progress:
        hear = progress.stage("planner")
        clock.now = 1.0
        hear(0.1)
        assert capsys.readouterr().err == ""
        clock.now = 10.0
        hear(0.5)
        assert capsys.readouterr().err == "\r\033[Ksimulating planner (1 of 2)  50%, 10s left"
    assert capsys.readouterr().err == "\r\033[K"


def test_a_search_counts_its_tries(capsys, clock, monkeypatch):
    monkeypatch.setattr("sys.stderr.isatty", lambda: True)
    with Progress(1, clock=clock) as progress:
        hear = progress.stage("static")
        hear(1.0)
        clock.now = 100.0
        hear(0.0)
        clock.now = 104.0
        hear(0.8)
        assert capsys.readouterr().err.endswith("simulating static, try 2  80%, 1s left")


def test_a_log_gets_a_line_now_and_then(capsys, clock):
    with Progress(1, clock=clock) as progress:
        hear = progress.stage("planner")
        for second in range(26):
            clock.now = float(second)
            hear(second / 100)
    lines = capsys.readouterr().err.splitlines()
    assert lines == ["simulating planner  10%, 1m30s left", "simulating planner  20%, 1m20s left"]


def test_quiet_is_quiet(capsys, clock, monkeypatch):
    monkeypatch.setattr("planner.cli.sim.progress.is_quiet", lambda: True)
    with Progress(1, clock=clock) as progress:
        hear = progress.stage("planner")
        clock.now = 60.0
        hear(0.5)
    assert capsys.readouterr().err == ""
