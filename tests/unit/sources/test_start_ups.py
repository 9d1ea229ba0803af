"""What workers say of their start-up becomes one figure: the p90."""

import pytest

from planner.sources.exposition import Page, parse
from planner.sources.start_ups import StartUps


def page(instance: int, seconds: float) -> Page:
    name = "planner_worker_start_seconds"
    return parse(
        f"# TYPE {name} gauge\n"
        f'{name}{{instance="{instance}",stage="engine"}} {seconds / 2}\n'
        f'{name}{{instance="{instance}",stage="registered"}} {seconds}\n',
        "planner_",
    )


@pytest.mark.parametrize(
    ("seconds", "p90"),
    [
        pytest.param([], None, id="nothing seen"),
        pytest.param([40.0], 40.0, id="one"),
        pytest.param([10.0, 30.0, 20.0], 30.0, id="few: the longest"),
        pytest.param([float(n) for n in range(1, 11)], 9.0, id="ten: the second longest"),
    ],
)
def test_nine_in_ten_were_no_longer(seconds: list[float], p90: float | None) -> None:
    start_ups = StartUps()
    start_ups.see([page(index, each) for index, each in enumerate(seconds)])

    assert start_ups.p90_seconds == p90


def test_a_replica_counts_once_and_is_remembered_when_it_is_gone() -> None:
    start_ups = StartUps()
    for _ in range(20):
        start_ups.see([page(1, 10.0)])
    start_ups.see([page(2, 50.0)])
    start_ups.see([])

    assert start_ups.p90_seconds == 50.0


def test_only_the_latest_count() -> None:
    start_ups = StartUps()
    start_ups.see([page(0, 600.0)])
    for index in range(1, 51):
        start_ups.see([page(index, 20.0)])

    assert start_ups.p90_seconds == 20.0


def test_one_that_is_still_starting_says_nothing() -> None:
    start_ups = StartUps()
    start_ups.see([parse('planner_worker_start_seconds{stage="engine"} 7\n', "planner_")])

    assert start_ups.p90_seconds is None
