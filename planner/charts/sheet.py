"""Several charts in one picture, each under its title."""

import re
from collections.abc import Sequence

from planner.charts.page import document
from planner.charts.svg import element, words

_TITLE, _GAP = 26.0, 18.0
_SIZE = re.compile(r'width="([\d.]+)" height="([\d.]+)" viewBox')


def sheet(charts: Sequence[tuple[str, str]], *, columns: int = 2) -> str:
    """Return one SVG document with all *charts*, (title, SVG document) each, in rows.

    Every cell is as large as the largest chart.
    """
    sizes = [_size(chart) for _, chart in charts]
    wide = max(width for width, _ in sizes) + _GAP
    high = max(height for _, height in sizes) + _TITLE + _GAP
    width, height = wide * min(columns, len(charts)), high * -(-len(charts) // columns)
    cells = (
        _cell(title, chart, x=wide * (index % columns), y=high * (index // columns))
        for index, (title, chart) in enumerate(charts)
    )
    return document(width, height, *cells)


def _cell(title: str, chart: str, *, x: float, y: float) -> str:
    told = words(title, (8, 17), class_="strong")
    placed = element("svg", chart, y=_TITLE, overflow="visible")
    return element("g", told, placed, transform=f"translate({x:g} {y:g})")


def _size(chart: str) -> tuple[float, float]:
    found = _SIZE.search(chart)
    assert found is not None, "not a chart of this package"
    return float(found[1]), float(found[2])
