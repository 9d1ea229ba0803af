"""Expressions, and pages put together from what they come to."""

import json
import re

from hypothesis import given
from hypothesis import strategies as st

from planner.sources.prometheus.api import Series
from planner.sources.prometheus.promql import Scope, present, samples
from planner.sources.prometheus.targets import targets

ODD = 'a"b\\c\nd|.*'


def test_an_expression():
    scope = Scope(replica="pod", labels={"namespace": "chat", "job": "vllm"})
    asked = samples(scope, ["vllm:b", "vllm:a"], of=["d-1", "d-2"], seconds=15)
    assert asked == (
        '{__name__=~"up|vllm:a|vllm:b",job="vllm",namespace="chat",pod=~"d\\\\-1|d\\\\-2"}[15000ms]'
    )


def test_an_expression_for_what_is_there():
    scope = Scope(replica="instance", labels={"job": "a"})
    assert present(scope, of=["h:1"]) == 'up{job="a",instance=~"h:1"}'
    assert present(Scope(replica="pod"), of=None) == "up{}"


@given(st.text(), st.text())
def test_values_mean_themselves(label, replica):
    scope = Scope(replica="pod", labels={"zone": label})
    asked = samples(scope, ["a"], of=[replica], seconds=0.5)
    zone, pod = re.findall(r'(?:zone=|pod=~)("(?:[^"\\]|\\.)*")', asked)
    assert json.loads(zone) == label
    assert re.fullmatch(json.loads(pod), replica)
    assert re.fullmatch(json.loads(pod), f"{replica}x") is None


def series(called, *values, **labels):
    return Series(labels={"__name__": called, **labels}, samples=values)


def test_a_page_is_as_the_process_told_it():
    up = series("up", (10.0, 1.0), (15.0, 1.0), instance="h:1", job="j", namespace="kube")
    own = {"instance": "h:1", "job": "j", "namespace": "kube"}
    (target,) = targets([
        up,
        series("a", (10.0, 1.0), (15.0, 2.0), exported_namespace="ours", x=ODD, **own),
        series("a", (10.0, 1.0), x="gone since", **own),
        series("a", (15.0, float("nan")), x="nothing", **own),
        series("b", (15.0, 7.0), exported_kept="as it is", **own),
    ])  # fmt: skip
    page = target.page(15.0)
    assert page.total("a", namespace="ours", x=ODD) == 2
    assert page.samples == {
        'a{namespace="ours",x="a\\"b\\\\c\\nd|.*"}': 2.0, 'b{exported_kept="as it is"}': 7.0,
    }  # fmt: skip
    assert len(target.page(10.0).samples) == 2
    assert (target.is_up, target.scrapes) == (True, [10.0, 15.0])


def test_series_belong_to_the_target_whose_labels_they_have():
    found = targets([
        series("up", (1.0, 1.0), job="a"),
        series("up", (1.0, 0.0), job="b", pod="p"),
        series("m", (1.0, 3.0), job="a"),
        series("m", (1.0, 4.0), job="b", pod="p"),
        series("m", (1.0, 5.0), job="c"),
    ])  # fmt: skip
    assert [(one.labels, one.is_up, one.page(1.0).samples) for one in found] == [
        ({"job": "a"}, True, {"m": 3.0}),
        ({"job": "b", "pod": "p"}, False, {"m": 4.0}),
    ]


def test_labels_that_are_honoured_are_the_process_own():
    found = targets([
        series("up", (1.0, 1.0), instance="h:1", namespace="n", name="d-1"),
        series("up", (1.0, 1.0), instance="h:2", namespace="n", name="d-2"),
        series("m", (1.0, 3.0), instance="d-1", namespace="n", name="d-1"),
        series("m", (1.0, 4.0), instance="d-2", namespace="other", name="d-2"),
        series("m", (1.0, 5.0), instance="d-3", namespace="n", name="d-3"),
    ])  # fmt: skip
    assert [one.page(1.0).samples for one in found] == [
        {'m{instance="d-1"}': 3.0}, {'m{instance="d-2",namespace="other"}': 4.0},
    ]  # fmt: skip


def test_what_may_be_of_two_targets_is_of_none():
    found = targets([
        *(series("up", (1.0, 1.0), instance=f"h:{n}", job="j") for n in (1, 2)),
        series("m", (1.0, 3.0), instance="d-1", job="j"),
    ])  # fmt: skip
    assert [one.page(1.0).samples for one in found] == [{}, {}]
