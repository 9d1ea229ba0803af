"""Plots as SVG text: they stand alone in a report, a document or a page.

The same values give the same text. Colours follow the reader's light or dark scheme.
"""

from planner.charts.axis import Axis, Unit, written
from planner.charts.frame import Size
from planner.charts.lines import Extras, lines, steps
from planner.charts.marks import Band, Dot, Dots, Level, Note, Series
from planner.charts.scatter import scatter
from planner.charts.sheet import sheet

__all__ = [
    "Axis",
    "Band",
    "Dot",
    "Dots",
    "Extras",
    "Level",
    "Note",
    "Series",
    "Size",
    "Unit",
    "lines",
    "scatter",
    "sheet",
    "steps",
    "written",
]
