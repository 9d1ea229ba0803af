"""One figure against another: measured points, curves through them, and bars."""

from collections.abc import Sequence

from dashboards.drawing.palette import SHAPES, Series
from dashboards.drawing.parts import POINTED, Axis, Row, Spec, colour, dash, layered, legend, values


def plane(
    points: Sequence[Row],
    lines: Sequence[Series],
    *,
    x: str,
    y: Axis,
    curve: Sequence[Row] = (),
    columns: int = 4,
) -> Spec:
    """Return *points* and a *curve* for each of *lines*, with *x* as the title of that axis.

    Rows have ``x``, ``value``, ``series`` and, to be read by a pointer, ``told``.
    """
    layers = []
    if curve:
        mark = {"type": "line", "strokeWidth": 2}
        layers.append(_layer(curve, lines, x, y, mark=mark, told={"strokeDash": dash(lines)}))
    if points:
        mark = {"type": "point", "size": 70, "strokeWidth": 2, "filled": False}
        layers.append(_layer(points, lines, x, y, mark=mark, told={"shape": _shape(lines)}))
    return layered([*layers, *y.level], height=280, columns=columns)


def stairs(rows: Sequence[Row], lines: Sequence[Series], axis: Axis, *, x: str) -> Spec:
    """Return counts that stay until they change, over *x*; rows as those of a curve."""
    mark = {"type": "line", "interpolate": "step-after", "strokeWidth": 2}
    layer = _layer(rows, lines, x, axis, mark=mark, told={"strokeDash": dash(lines)})
    return layered([layer, *axis.level])


def _layer(
    rows: Sequence[Row], lines: Sequence[Series], x: str, y: Axis, *, mark: Spec, told: Spec
) -> Spec:
    return {
        "data": values(rows),
        "mark": mark,
        "encoding": {
            "x": {"field": "x", "type": "quantitative", "title": x, "scale": y.scale},
            "y": y.channel,
            "color": colour(lines),
            **told,
            "tooltip": [
                {"field": "series", "title": "series"},
                {"field": "told", "title": "what"},
                {"field": "x", "type": "quantitative", "title": x, "format": POINTED},
                y.tooltip,
            ],
        },
    }


def _shape(lines: Sequence[Series]) -> Spec:
    shapes = [SHAPES[place % len(SHAPES)] for place in range(len(lines))]
    return {
        "field": "series",
        "type": "nominal",
        "scale": {"domain": [s.name for s in lines], "range": shapes},
        **legend(lines),
    }


def bars(rows: Sequence[Row], lines: Sequence[Series], axis: Axis, *, x: str) -> Spec:
    """Return grouped bars: *rows* have ``x`` (text, in order), ``series`` and ``value``."""
    return layered(
        [
            {
                "data": values(rows),
                "mark": {"type": "bar", "cornerRadiusEnd": 2},
                "encoding": {
                    "x": {
                        "field": "x",
                        "type": "nominal",
                        "title": x,
                        "sort": None,
                        "axis": {"labelAngle": 0, "labelOverlap": True},
                    },
                    "xOffset": {"field": "series", "sort": [s.name for s in lines]},
                    "y": axis.channel,
                    "color": colour(lines),
                    "tooltip": [
                        {"field": "x", "title": x},
                        {"field": "series", "title": "series"},
                        axis.tooltip,
                    ],
                },
            },
            *axis.level,
        ]
    )
