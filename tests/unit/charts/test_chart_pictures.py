"""Charts as documents: what is in them, that they parse, and that equal values give equal text."""

import re
from xml.etree import ElementTree as ET

import pytest

from planner.charts import (
    Axis,
    Band,
    Dot,
    Dots,
    Extras,
    Level,
    Note,
    Series,
    Unit,
    lines,
    scatter,
    sheet,
    steps,
)
from planner.charts.thin import thinned

TIME = Axis(label="time", unit=Unit.SECONDS)
REPLICAS = Axis(label="Replicas", unit=Unit.COUNT, low=0)
SVG = "{http://www.w3.org/2000/svg}"


def parsed(chart: str) -> ET.Element:
    return ET.fromstring(chart)


def texts(chart: str) -> list[str]:
    return [element.text for element in parsed(chart).iter(f"{SVG}text")]


def paths(chart: str, class_: str) -> list[str]:
    found = parsed(chart).iter(f"{SVG}path")
    return [path.get("d") for path in found if (path.get("class") or "").startswith(class_)]


def test_steps_hold_their_height_and_lines_do_not():
    series = [Series(label="ready", x=[0, 30, 60], y=[1, 3, 2])]
    (stairs, _) = paths(steps(series, TIME, REPLICAS), "line s0")
    (slopes, _) = paths(lines(series, TIME, REPLICAS), "line s0")
    assert stairs == "M62 150.3H452V31H842V90.7"  # pixels of 1, 3 and 2 on an axis from 0 to 3
    assert slopes == "M62 150.3L452 31L842 90.7"


def test_a_gap_lifts_the_pen():
    series = [Series(label="a", x=[0, 1, 2, 3, 4], y=[1, 1, None, 1, 1])]
    assert paths(lines(series, TIME, REPLICAS), "line s0")[0].count("M") == 2


def test_everything_asked_for_is_there():
    chart = steps(
        [
            Series(label="ready", x=[0, 60], y=[1, 2]),
            Series(label="desired", x=[0, 60], y=[2, 2], slot=4, is_dashed=True),
        ],
        TIME,
        REPLICAS,
        extras=Extras(
            levels=[Level(y=9, label="most")],
            bands=[Band(x=[0, 60], low=[0, 0], high=[1, 2], label="held", slot=2)],
            notes=[Note(x=5, text="why <5 & >3"), Note(x=5, y=2, text="dot")],
        ),
    )
    assert {"Replicas", "time", "ready", "desired", "held", "most", "10", "30s"} <= set(
        texts(chart)
    )
    titles = [title.text for title in parsed(chart).iter(f"{SVG}title")]
    assert titles == ["why <5 & >3", "dot"]
    assert len(paths(chart, "line s4 dashed")) == 2  # the line and its legend
    assert len(paths(chart, "band f2")) == 1


@pytest.mark.parametrize("draw", [lines, steps])
@pytest.mark.parametrize("series", [[], [Series(label="a", x=[], y=[])]], ids=["none", "empty"])
def test_nothing_to_show_is_an_empty_chart(draw, series):
    assert "Replicas" in texts(draw(series, TIME, REPLICAS))


def test_many_labels_go_into_rows_inside_the_chart():
    series = [Series(label=f"a rather long label {i}", x=[0, 1], y=[0, 1]) for i in range(9)]
    chart = parsed(lines(series, TIME, REPLICAS))
    legend = [text for text in chart.iter(f"{SVG}text") if "long" in (text.text or "")]
    assert len({text.get("y") for text in legend}) > 1
    assert max(float(text.get("x")) for text in legend) < 860 - 100


def test_a_scatter_names_single_dots_and_keys_the_others():
    chart = scatter(
        [
            Dots(label="planner", dots=[Dot(x=15, y=0.992, text="planner: 99.2%")]),
            Dots(label="oracle", dots=[Dot(x=11, y=0.99)]),
            Dots(
                label="hpa",
                is_joined=True,
                dots=[Dot(x=x, y=1 - 0.1 / x, y_range=(0.9, 0.999)) for x in (10, 20)],
            ),
        ],
        Axis(label="GPU-hours", low=0),
        Axis(label="Attainment", unit=Unit.ATTAINMENT),
        levels=[Level(y=0.99, label="target 99%")],
    )
    assert {"planner", "oracle", "hpa", "target 99%", "99.5%", "GPU-hours"} <= set(texts(chart))
    titles = [title.text for title in parsed(chart).iter(f"{SVG}title")]
    assert set(titles) == {"planner: 99.2%", "oracle", "hpa"}


def test_names_keep_off_each_other_and_off_dots():
    dots = [Dots(label=f"rule {i}", dots=[Dot(x=10 + i / 50, y=0.99)]) for i in range(4)]
    far = Dots(label="far", dots=[Dot(x=30, y=0.9)])
    chart = scatter(
        [*dots, far], Axis(label="GPU-hours"), Axis(label="Attainment", unit=Unit.ATTAINMENT)
    )
    places = {
        (text.get("x"), text.get("y"))
        for text in parsed(chart).iter(f"{SVG}text")
        if (text.text or "").startswith("rule")
    }
    assert len(places) == 4


def test_names_keep_off_the_numbers_of_the_axis():
    dots = [Dots(label=f"rule {i}", dots=[Dot(x=10 + i, y=0.0)]) for i in range(3)]
    chart = scatter(dots, Axis(label="GPU-hours", low=0, high=100), Axis(label="A", low=0, high=1))
    heights = [
        float(text.get("y"))
        for text in parsed(chart).iter(f"{SVG}text")
        if (text.text or "").startswith("rule")
    ]
    assert max(heights) <= 380  # where the axis is
    assert len(heights) == 3


def test_a_sheet_holds_charts_under_their_titles():
    chart = lines([Series(label="a", x=[0, 1], y=[0, 1])], TIME, REPLICAS)
    whole = sheet([("one", chart), ("two", chart), ("three", chart)], columns=2)
    root = parsed(whole)
    assert (float(root.get("width")), float(root.get("height"))) == (2 * 878, 2 * 294)
    assert {"one", "two", "three"} <= set(texts(whole))


def test_equal_values_give_equal_text():
    series = [Series(label="a", x=[0, 1 / 3], y=[0.1 + 0.2, 1])]
    assert lines(series, TIME, REPLICAS) == lines(series, TIME, REPLICAS)
    assert not re.search(r"\d\.\d{4}", lines(series, TIME, REPLICAS).partition("</style>")[2])


def test_hours_of_data_stay_small_and_keep_their_peaks():
    x = [float(i) for i in range(50_000)]
    y = [1000.0 if i == 31_234 else float(i % 7) for i in range(50_000)]
    chart = lines([Series(label="a", x=x, y=y)], TIME, REPLICAS)
    assert len(chart) < 60_000
    assert "27" in paths(chart, "line s0")[0]  # the spike reaches the top of the chart


def test_thinning_keeps_gaps_and_the_ends_of_each_column():
    kept = thinned([(0.1, 5.0), (0.2, 1.0), (0.3, 9.0), (0.4, 4.0), (0.5, 6.0), None, (1.5, 2.0)])
    assert kept == [(0.1, 5.0), (0.2, 1.0), (0.3, 9.0), (0.5, 6.0), None, (1.5, 2.0)]
