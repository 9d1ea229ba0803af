"""Increments of counters over looks, restarts and silence."""

import pytest

from planner.sources.exposition import parse
from planner.sources.growth import Growths


def page(**counts):
    return parse("\n".join(f"planner_{name} {value}" for name, value in counts.items()), "planner_")


def growths():
    return Growths({"planner_a", "planner_b"})


def test_the_first_look_knows_no_growth():
    assert growths().grown("f", page(a=100), now=0.0) is None


def test_growth_since_the_last_look_at_that_target():
    seen = growths()
    seen.grown("f", page(a=100), now=0.0)
    seen.grown("f", page(a=103), now=5.0)
    grown = seen.grown("f", page(a=110), now=15.0)
    assert (grown.seconds, grown.page.total("planner_a")) == (10.0, 7.0)


@pytest.mark.parametrize(
    ("after", "a", "b"),
    [
        pytest.param({"a": 2, "b": 60}, 2.0, 60.0, id="one fell: all count from zero"),
        pytest.param({"b": 60}, None, 60.0, id="one is gone: the same"),
        pytest.param({"a": 100, "b": 50}, 0.0, 0.0, id="idle is no restart"),
    ],
)
def test_a_restart_counts_from_zero(after, a, b):
    seen = growths()
    seen.grown("f", page(a=100, b=50), now=0.0)
    grown = seen.grown("f", page(**after), now=5.0)
    assert (grown.page.total("planner_a"), grown.page.total("planner_b")) == (a, b)


def test_a_gauge_that_falls_is_no_restart():
    seen = growths()
    seen.grown("f", page(a=100, depth=9), now=0.0)
    assert seen.grown("f", page(a=101, depth=1), now=5.0).page.total("planner_a") == 1.0


def test_a_series_that_appears_counts_from_zero():
    seen = growths()
    seen.grown("f", page(a=100), now=0.0)
    assert seen.grown("f", page(a=100, b=4), now=5.0).page.total("planner_b") == 4.0


def test_targets_that_left_are_forgotten():
    seen = growths()
    seen.grown("f", page(a=100), now=0.0)
    seen.keep(["g"])
    assert seen.grown("f", page(a=103), now=5.0) is None
