"""The planner's series tell whose they are: autoscalers pick theirs by it."""

import pytest
from prometheus_client import CollectorRegistry, generate_latest

from planner.cli.control.looping import Looping
from planner.cli.control.own_page import labelled
from planner.config import Settings
from planner.metrics import LoopMetrics


def metrics(*, acts: bool) -> LoopMetrics:
    made = LoopMetrics(CollectorRegistry())
    made.began(acts=acts)
    return made


def page(*sources) -> str:
    return generate_latest(labelled(lambda: sources)).decode()


def test_series_of_several_are_one_metric_each_with_its_labels() -> None:
    one, other = metrics(acts=True), metrics(acts=False)
    text = page(
        (one.registry, {"deployment": "chat", "model": "llama"}),
        (other.registry, {"deployment": "code"}),
    )
    assert text.count("# TYPE planner_acts gauge") == 1
    assert 'planner_acts{deployment="chat",model="llama"} 1.0' in text
    assert 'planner_acts{deployment="code"} 0.0' in text


def test_sources_are_those_of_the_moment() -> None:
    sources = []
    registry = labelled(lambda: sources)
    assert generate_latest(registry) == b""
    sources.append((metrics(acts=True).registry, {}))
    assert b"planner_acts 1.0" in generate_latest(registry)


@pytest.mark.parametrize(
    ("settings", "labels"),
    [
        pytest.param({}, {}, id="unnamed"),
        pytest.param({"deployment": "chat"}, {"deployment": "chat"}, id="deployment"),
        pytest.param(
            {"deployment": "chat", "model": "m"}, {"deployment": "chat", "model": "m"}, id="both"
        ),
    ],
)
def test_a_planner_has_the_names_that_it_was_told(settings, labels) -> None:
    kept = Looping(
        settings=Settings(**settings), loop=None, metrics=metrics(acts=True), scraped=list
    )
    assert kept.labels == labels
