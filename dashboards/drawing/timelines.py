"""Figures over time, with their target and with marks where the fleet was changed."""

from collections.abc import Sequence

from dashboards.drawing.palette import GREY, Series
from dashboards.drawing.parts import Axis, Row, Spec, colour, dash, layered, values

_LABEL = (
    "timeFormat(datum.value, seconds(datum.value) ? '%H:%M:%S'"
    " : hours(datum.value) || minutes(datum.value) ? '%H:%M' : '%b %d')"
)
_TIME = {
    "field": "at",
    "type": "temporal",
    "title": None,
    "axis": {"grid": False, "tickCount": 6, "labelExpr": _LABEL},
}
_WHEN = {"field": "at", "type": "temporal", "title": "at", "format": "%b %d %H:%M:%S"}


def timeline(
    rows: Sequence[Row], lines: Sequence[Series], axis: Axis, *, marks: Sequence[Row] = ()
) -> Spec:
    """Return *lines* over time: *rows* have ``at`` (ms since the epoch), ``series``, ``value``.

    A value of None leaves a gap. *marks* have ``at`` and ``told``, what a pointer reads there.
    """
    return _over_time(rows, lines, axis, marks=marks, interpolate="linear")


def steps(
    rows: Sequence[Row], lines: Sequence[Series], title: str, *, marks: Sequence[Row] = ()
) -> Spec:
    """Return counts over time, which stay until they change; else as `timeline`."""
    return _over_time(rows, lines, Axis(title, "d"), marks=marks, interpolate="step-after")


def _over_time(
    rows: Sequence[Row],
    lines: Sequence[Series],
    axis: Axis,
    *,
    marks: Sequence[Row],
    interpolate: str,
) -> Spec:
    main = {
        "data": values(rows),
        "mark": {"type": "line", "interpolate": interpolate, "strokeWidth": 2},
        "encoding": {
            "x": _TIME,
            "y": axis.channel,
            "color": colour(lines),
            "strokeDash": dash(lines),
            "tooltip": [_WHEN, {"field": "series", "title": "line"}, axis.tooltip],
        },
    }
    return layered([main, *axis.level, *([_marks(marks)] if marks else ())])


def _marks(marks: Sequence[Row]) -> Spec:
    return {
        "data": values(marks),
        "mark": {
            "type": "point",
            "shape": "triangle-down",
            "filled": True,
            "size": 70,
            "color": GREY,
            "opacity": 0.9,
        },
        "encoding": {
            "x": _TIME,
            "y": {"value": 6},
            "tooltip": [_WHEN, {"field": "told", "title": "decision"}],
        },
    }
