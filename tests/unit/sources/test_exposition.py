"""The small parser against pages that prometheus_client writes, and against broken ones."""

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st
from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest
from prometheus_client.parser import text_string_to_metric_families

from planner.sources.exposition import edge_of, labels_of, name_of, parse


def page_of(registry):
    return parse(generate_latest(registry).decode(), "planner_")


def test_reads_every_sample_but_buckets_as_prometheus_client_does():
    registry = CollectorRegistry()
    requests = Counter("planner_requests", "Seen.", ["model", "status"], registry=registry)
    requests.labels('odd "name" } {\\\n', "success").inc(3)
    requests.labels("m", "error").inc(2)
    Gauge("planner_depth", "Queue.", registry=registry).set(1.5e9)
    Histogram("planner_ttft_seconds", "TTFT.", ["model"], registry=registry).labels("m").observe(2)
    Gauge("other_depth", "Not ours.", registry=registry).set(7)
    text = generate_latest(registry).decode()

    expected = {
        (sample.name, tuple(sorted(sample.labels.items()))): sample.value
        for family in text_string_to_metric_families(text)
        for sample in family.samples
        if sample.name.startswith("planner_") and not sample.name.endswith("_bucket")
    }
    found = {
        (name_of(s), tuple(sorted(labels_of(s).items()))): value
        for s, value in parse(text, "planner_").samples.items()
    }
    assert found == expected


@given(st.text())
def test_label_values_survive(value):
    registry = CollectorRegistry()
    Gauge("planner_x", "X.", ["name"], registry=registry).labels(value).set(1)
    assert page_of(registry).total("planner_x", name=value) == 1.0


@pytest.mark.parametrize(
    ("name", "labels", "expected"),
    [
        pytest.param("planner_requests_total", {}, 5.0, id="sum over labels"),
        pytest.param("planner_requests_total", {"status": "error"}, 2.0, id="one label"),
        pytest.param("planner_requests_total", {"status": "gone"}, 0.0, id="no such series yet"),
        pytest.param("planner_quiet_total", {}, 0.0, id="declared, nothing counted"),
        pytest.param("planner_ttft_seconds_count", {}, 0.0, id="declared histogram"),
        pytest.param("planner_unknown_total", {}, None, id="not declared"),
        pytest.param("planner_requests", {}, None, id="a name is not a prefix"),
    ],
)
def test_totals(name, labels, expected):
    registry = CollectorRegistry()
    requests = Counter("planner_requests", "Seen.", ["status"], registry=registry)
    requests.labels("success").inc(3)
    requests.labels("error").inc(2)
    Counter("planner_quiet", "Nothing yet.", ["status"], registry=registry)
    Histogram("planner_ttft_seconds", "TTFT.", ["model"], registry=registry)
    assert page_of(registry).total(name, **labels) == expected


def test_one_model_of_several():
    registry = CollectorRegistry()
    gauge = Gauge("planner_running", "R.", ["model"], registry=registry)
    gauge.labels("a").set(1)
    gauge.labels("b").set(2)
    Gauge("planner_depth", "Shared.", registry=registry).set(4)
    page = page_of(registry).only("model", "b")
    assert (page.total("planner_running"), page.total("planner_depth")) == (2.0, 4.0)


@pytest.mark.parametrize(
    "line",
    [
        "planner_x",
        "planner_x{",
        "planner_x nonsense",
        'planner_x{a="b"}',
        "planner_x NaN",
        "",
        "\x00\x01",
    ],
)
def test_a_line_that_is_no_sample_is_skipped(line):
    assert parse(f"{line}\nplanner_y 2", "planner_").samples == {"planner_y": 2.0}


def test_time_stamps_are_not_values():
    page = parse('planner_x{a="b"} 2 1700000000000\nplanner_y 3 17', "planner_")
    assert (page.total("planner_x"), page.total("planner_y")) == (2.0, 3.0)


@pytest.mark.parametrize(
    ("series", "edge"),
    [
        pytest.param('x_bucket{le="0.25"}', 0.25, id="alone"),
        pytest.param('x_bucket{model="m",le="+Inf",pod="p"}', float("inf"), id="among others"),
        pytest.param(r'x_bucket{model="a,le=\"7\"",le="2.5"}', 2.5, id="not in another's value"),
        pytest.param('x_bucket{file="9",handle="8"}', None, id="none"),
    ],
)
def test_the_edge_of_a_bucket(series, edge):
    found = edge_of(series)
    assert math.isnan(found) if edge is None else found == edge
