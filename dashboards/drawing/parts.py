"""What every chart is made of."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from dashboards.drawing.palette import GREY, Series

Spec = dict[str, Any]
Row = Mapping[str, Any]

HEIGHT = 220
POINTED = ",.4~r"
"""How a pointer reads a number: four digits."""


@dataclass(frozen=True, slots=True)
class Axis:
    """The y axis: its title with the unit, how numbers are written, and a target.

    *number* is a format of D3, "" is what fits. The target is its value and what it is called.
    """

    title: str
    number: str = ""
    target: tuple[float, str] | None = None
    from_zero: bool = True

    @property
    def channel(self) -> Spec:
        """The channel of a field called ``value``."""
        axis: Spec = {"format": self.number} if self.number else {}
        if self.number == "d":
            axis["tickMinStep"] = 1
        return {
            "field": "value",
            "type": "quantitative",
            "title": self.title,
            "axis": axis,
            "scale": self.scale,
        }

    @property
    def scale(self) -> Spec:
        """The scale: from zero, or with room around what there is."""
        return {"zero": True} if self.from_zero else {"zero": False, "padding": 12}

    @property
    def tooltip(self) -> Spec:
        """What a pointer reads of it."""
        return {
            "field": "value",
            "type": "quantitative",
            "title": self.title,
            "format": self.number or POINTED,
        }

    @property
    def level(self) -> list[Spec]:
        """The layers of the target, none without one."""
        return [] if self.target is None else _level(*self.target)


def layered(layers: Sequence[Spec], *, height: int = HEIGHT, columns: int = 4) -> Spec:
    """Return a chart of *layers* as wide as its place, with so many *columns* in its legend."""
    return {
        "width": "container",
        "height": height,
        "autosize": {"type": "fit", "contains": "padding"},
        "layer": list(layers),
        "config": {
            "legend": {"orient": "top", "title": None, "columns": columns, "labelLimit": 220}
        },
    }


def values(rows: Sequence[Row]) -> Spec:
    """Return *rows* as the data of a layer."""
    return {"values": [dict(row) for row in rows]}


def legend(lines: Sequence[Series]) -> Spec:
    """Return the legend of a channel: none where there is nothing to tell apart."""
    return {} if len(lines) > 1 else {"legend": None}


def colour(lines: Sequence[Series]) -> Spec:
    """Return the colour channel of *lines*, with a legend only where there are several."""
    return {
        "field": "series",
        "type": "nominal",
        "scale": {"domain": [s.name for s in lines], "range": [s.colour for s in lines]},
        **legend(lines),
    }


def dash(lines: Sequence[Series]) -> Spec:
    """Return the dash channel of *lines*; it merges with the colour's legend."""
    return {
        "field": "series",
        "type": "nominal",
        "scale": {"domain": [s.name for s in lines], "range": [list(s.dash) for s in lines]},
        **legend(lines),
    }


def _level(value: float, label: str) -> list[Spec]:
    """Return a dashed line at *value* on the y axis, named *label*: a target or a budget."""
    data = {"values": [{"level": value, "label": label}]}
    y = {"field": "level", "type": "quantitative"}
    return [
        {
            "data": data,
            "mark": {"type": "rule", "strokeDash": [6, 4], "color": GREY, "strokeWidth": 1.5},
            "encoding": {"y": y},
        },
        {
            "data": data,
            "mark": {"type": "text", "align": "left", "baseline": "bottom", "dx": 4, "dy": -2,
                     "color": GREY, "fontWeight": 600},
            "encoding": {"y": y, "x": {"value": 0}, "text": {"field": "label"}},
        },
    ]  # fmt: skip
