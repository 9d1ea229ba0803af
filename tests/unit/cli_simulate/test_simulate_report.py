"""The report stands alone, shows every run, and tells every decision's reason."""

import re
from html import unescape

import pytest

from planner.cli.decisions import foreseen
from planner.cli.main import main
from planner.cli.sim.reasons import Asked, notes
from planner.cli.sim.windows import window_seconds
from planner.core.explain import explain
from planner.core.plan import Alternative, Decision
from planner.core.role import Role
from planner.sim.backtest import Decisions

COMMON = [
    "simulate", "--trace", "bundled:azure-conv", "--amplify", "4", "--head", "2m",
    "--cold-start", "10s",
    "--profile", "llama-3.1-8b-fp8-h200", "--sla", "ttft=200ms,itl=20ms",
]  # fmt: skip

pytestmark = pytest.mark.usefixtures("peers", "oracle")


def report(tmp_path, *flags: str) -> str:
    path = tmp_path / "out.html"
    assert main([*COMMON, *flags, "--report", str(path)]) == 0
    assert [found.name for found in tmp_path.iterdir()] == ["out.html"]
    return path.read_text(encoding="utf-8")


def test_every_decision_is_told_with_its_reason(tmp_path, monkeypatch):
    kept = []
    made = Decisions.__call__

    def keep(self, observation):
        desired = made(self, observation)
        kept.append(self.plans[-1])
        return desired

    monkeypatch.setattr(Decisions, "__call__", keep)
    told = unescape(report(tmp_path))
    assert len(kept) > 20
    for plan in kept:
        for decision in plan.decisions.values():
            assert explain(decision) in told


def test_it_stands_alone(tmp_path):
    page = report(tmp_path, "--compare", "planner,hpa,static", "--oracle")
    links = re.findall(r"""(?:src|href|url)\s*[=(]\s*["']?([^"')>]+)""", page)
    assert links == []
    assert set(re.findall(r"https?://[^\"' ]+", page)) == {"http://www.w3.org/2000/svg"}
    assert len(page) < 1_000_000


def test_it_shows_each_policy_and_the_oracle(tmp_path, capsys):
    page = report(tmp_path, "--compare", "planner,hpa,static", "--oracle")
    for text in (
        "Simulation of bundled:azure-conv", "ttft", "profile llama-3.1-8b-fp8-h200",
        "cold start 10s, a decision every 5s", "scored: the whole trace", "over oracle",
        "Attainment against cost", "Requests/s", "TTFT p99", "ITL p99", "GPUs held",
        "target 99%", "target 200ms", "Under planner", "Under hpa",
        "Under static", "need", "desired", "ready", "held", "1m prefill 1 -&gt; 2",
    ):  # fmt: skip
        assert text in page, text
    assert "report: " in capsys.readouterr().err


def test_it_says_from_when_policies_were_obeyed(tmp_path):
    assert "at the start, obeyed from 1m on" in report(tmp_path, "--hands-off", "60s")


def test_a_single_run_without_oracle_has_no_frontier(tmp_path):
    page = report(tmp_path, "--static", "--prefill", "2", "--decode", "3")
    assert "Attainment against cost" not in page
    assert "2 prefill, 3 decode, all the time" in page
    assert "decisions that change a number" not in page


def test_what_misses_the_target_is_marked(tmp_path):
    page = report(tmp_path, "--static", "--prefill", "1", "--decode", "1", "--amplify", "40")
    assert 'class="n miss"' in page
    assert "Bold: below the target of 99%." in page


def test_equal_runs_give_equal_reports(tmp_path):
    assert report(tmp_path, "--policy", "hpa") == report(tmp_path, "--policy", "hpa")


def test_an_old_report_survives_a_failure(tmp_path, monkeypatch, capsys):
    path = tmp_path / "out.html"
    path.write_text("old")

    def full(self, *_, **__):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("pathlib.Path.write_text", full)
    assert main([*COMMON, "--report", str(path)]) == 1
    assert path.read_text() == "old"
    assert list(tmp_path.iterdir()) == [path]
    error = capsys.readouterr().err.splitlines()[0]
    assert error == f"error: --report {path}: No space left on device"


@pytest.mark.parametrize(
    ("duration", "seconds"),
    [
        pytest.param(300, 10, id="minutes"),
        pytest.param(3600, 60, id="an hour"),
        pytest.param(6 * 3600, 60, id="a working day"),
        pytest.param(24 * 3600, 300, id="a day"),
        pytest.param(7 * 24 * 3600, 3600, id="a week"),
    ],
)
def test_windows_are_a_minute_as_long_as_that_can_be_seen(duration, seconds):
    assert window_seconds(duration) == seconds


def asked(at: float, before: int, desired: int) -> Asked:
    return Asked(at=at, role=Role.PREFILL, before=before, desired=desired, reason="Why")


def test_decisions_too_close_to_see_share_a_note_that_keeps_each_change():
    decisions = [asked(0, 1, 1), asked(5, 1, 3), asked(10, 3, 2), asked(15, 2, 2), asked(20, 2, 2)]
    told = notes(decisions, seconds=20)
    assert [note.text for note in told] == [
        "5s prefill 1 -> 3 Why\n10s prefill 3 -> 2 Why\n15s prefill 2 Why",
        "20s prefill 2 Why",
    ]
    assert len(notes(decisions, seconds=1)) == 5


def test_a_note_stays_readable_in_a_storm():
    decisions = [asked(at / 100, at % 2, 1 - at % 2) for at in range(40)]
    (note,) = notes(decisions, seconds=1)
    assert note.text.splitlines()[-2] == "and 27 more"
    assert len(note.text.splitlines()) == 14


def test_many_policies_have_charts_of_their_own(tmp_path, peers):
    names = [f"rule-{number}" for number in range(4)]
    peers.update({name: type(peers["hpa"])(name) for name in names})
    page = report(tmp_path, "--compare", ",".join(names))
    assert page.count(">TTFT p99") == 4
    assert report(tmp_path, "--compare", ",".join(names[:3])).count(">TTFT p99") == 1


def test_a_note_tells_what_other_numbers_would_give():
    alternatives = tuple(
        Alternative(replicas=count, attainment=share, cost_per_hour=3.5 * count)
        for count, share in ((2, 0.971), (3, 0.994))
    )
    decision = Decision(
        role=Role.PREFILL, current=2, raw=3, desired=3, steps=(), alternatives=alternatives
    )
    assert foreseen(decision) == "2: 97.1% $7.00/h, 3: 99.4% $10.50/h"
    assert foreseen(Decision.unmoved(Role.PREFILL, 2)) == ""
