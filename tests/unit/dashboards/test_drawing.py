"""Charts are plain data: small ones are compared with files, and colours with what is legible."""

import json
from pathlib import Path
from typing import Any

import pytest

from dashboards.drawing.palette import COLOURS, present, series
from dashboards.drawing.parts import Axis
from dashboards.drawing.planes import bars, plane, stairs
from dashboards.drawing.timelines import steps, timeline

_GOLDEN = Path(__file__).parent / "golden"
_TWO = series("one", "two")
_ROWS = [
    {"at": 1000, "series": "one", "value": 1.5},
    {"at": 2000, "series": "one", "value": None},
    {"at": 1000, "series": "two", "value": 3},
]
_MARKS = [{"at": 1500, "told": "decision 7: decode 2 -> 3"}]
_POINTS = [{"x": 1, "value": 2.0, "series": "one", "told": "measured"}]
_CURVE = [{"x": 1, "value": 2.1, "series": "one", "told": "law"},
          {"x": 2, "value": 3.1, "series": "one", "told": "law"}]  # fmt: skip
_BARS = [{"x": "Nov 21", "series": "one", "value": 6.2}]

CHARTS = {
    "timeline": timeline(_ROWS, _TWO, Axis("ms", target=(200.0, "target 200ms"))),
    "steps": steps(_ROWS, _TWO, "replicas", marks=_MARKS),
    "one_line": timeline(_ROWS[:2], series("one"), Axis("requests/s", from_zero=False)),
    "plane": plane(_POINTS, _TWO, x="ISL, tokens", y=Axis("TTFT, ms"), curve=_CURVE),
    "stairs": stairs(_CURVE, _TWO, Axis("replicas", "d"), x="minutes"),
    "bars": bars(_BARS, _TWO, Axis("GPU-hours"), x="day"),
}


@pytest.mark.parametrize("name", CHARTS)
def test_a_chart_is_what_it_was(name: str) -> None:
    assert CHARTS[name] == json.loads((_GOLDEN / f"{name}.json").read_text())


def _luminance(colour: str) -> float:
    def linear(part: int) -> float:
        share = part / 255
        return float(share / 12.92 if share <= 0.04045 else ((share + 0.055) / 1.055) ** 2.4)

    red, green, blue = (linear(int(colour[at : at + 2], 16)) for at in (1, 3, 5))
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue


@pytest.mark.parametrize("page", ["#ffffff", "#181715", "#0e1117"])
@pytest.mark.parametrize("colour", COLOURS)
def test_lines_stand_out_from_light_and_dark_pages(colour: str, page: str) -> None:
    light, dark = sorted((_luminance(colour), _luminance(page)), reverse=True)
    assert (light + 0.05) / (dark + 0.05) >= 3


def test_lines_differ_by_more_than_colour() -> None:
    assert len({line.dash for line in series(*"abcde")}) == 5


def test_a_legend_names_what_there_is_and_keeps_colours() -> None:
    rows: list[dict[str, Any]] = [{"series": "ready"}]
    (line,) = present(series("desired", "ready"), rows)
    assert line == series("desired", "ready")[1]
