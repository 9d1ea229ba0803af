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


@pytest.mark.parametrize(
    ("stages", "heard", "last"),
    [
        pytest.param(2, [(1.0, 0.1)], "", id="silent at first"),
        pytest.param(
            2,
            [(1.0, 0.1), (10.0, 0.5)],
            "simulating planner (1 of 2)  50%, 10s left",
            id="half in 10 s: 10 s more",
        ),
        pytest.param(
            1,
            [(0.0, 1.0), (100.0, 0.0), (104.0, 0.8)],
            "simulating planner, try 2  80%, 1s left",
            id="a search begins anew: 80 % in 4 s, 1 s more",
        ),
    ],
)
def test_a_terminal_sees_the_time_left_and_then_nothing(
    capsys, clock, monkeypatch, stages, heard, last
):
    monkeypatch.setattr("sys.stderr.isatty", lambda: True)
    with Progress(stages, clock=clock) as progress:
        hear = progress.stage("planner")
        for at, share in heard:
            clock.now = at
            hear(share)
        assert capsys.readouterr().err.rpartition("\r\033[K")[2] == last
    assert capsys.readouterr().err == ("\r\033[K" if last else "")


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
