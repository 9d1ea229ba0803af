"""What a panel shows, and the JSON that Grafana takes it as."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from string import ascii_uppercase
from typing import Any

DATASOURCE = {"type": "prometheus", "uid": "${datasource}"}


class Colour(StrEnum):
    """The palette of Okabe and Ito, which colour-blind people can tell apart."""

    BLUE = "#0072B2"
    SKY = "#56B4E9"
    GREEN = "#009E73"
    ORANGE = "#E69F00"
    VERMILLION = "#D55E00"
    PURPLE = "#CC79A7"
    GREY = "#999999"


ROLES = {"prefill": Colour.ORANGE, "decode": Colour.BLUE, "aggregated": Colour.GREEN}
"""The colour of each role."""


def chosen(*variables: str, also: str = "") -> str:
    """Return the selector of what *variables* at the top choose, and of *also*."""
    matchers = [f'{name}=~"${name}"' for name in variables]
    return f"{{{','.join([*matchers, *filter(None, [also])])}}}"


class Kind(StrEnum):
    """Grafana's name of a visualization."""

    LINES = "timeseries"
    STAT = "stat"
    BARS = "bargauge"


@dataclass(frozen=True, slots=True, kw_only=True)
class Query:
    """One expression. All series of it have one colour; limits and targets are dashed."""

    expr: str
    legend: str
    colour: Colour = Colour.BLUE
    is_limit: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Panel:
    """A panel; its description also says what to look at where it shows nothing, or zero."""

    title: str
    description: str
    unit: str
    queries: Sequence[Query]
    kind: Kind = Kind.LINES
    width: int = 12
    height: int = 8
    is_stepped: bool = False
    """Lines go from one whole number to the next."""
    is_stacked: bool = False
    lowest: float | None = 0
    highest: float | None = None
    steps: Sequence[tuple[float | None, Colour]] = ((None, Colour.BLUE),)
    """From which value on a figure has which colour."""
    by_role: bool = False
    """Whether it is there once for each role that is chosen."""


def panel_json(panel: Panel, *, number: int, x: int, y: int) -> Mapping[str, Any]:
    """Return *panel* as Grafana's JSON, at that place of the grid."""
    told: dict[str, Any] = {
        "id": number,
        "type": panel.kind.value,
        "title": panel.title,
        "description": panel.description,
        "datasource": DATASOURCE,
        "gridPos": {"x": x, "y": y, "w": panel.width, "h": panel.height},
        "targets": [_target(panel.kind, query, at) for at, query in enumerate(panel.queries)],
        "fieldConfig": {"defaults": _defaults(panel), "overrides": _overrides(panel)},
        "options": _OPTIONS[panel.kind],
    }
    if panel.by_role:
        told |= {"repeat": "role", "repeatDirection": "h", "maxPerRow": 3}
    return told


def _target(kind: Kind, query: Query, at: int) -> Mapping[str, Any]:
    return {
        "refId": ascii_uppercase[at],
        "datasource": DATASOURCE,
        "editorMode": "code",
        "expr": query.expr,
        "legendFormat": query.legend,
        "instant": kind is Kind.BARS,
        "range": kind is not Kind.BARS,
    }


def _defaults(panel: Panel) -> Mapping[str, Any]:
    steps = [{"value": value, "color": colour.value} for value, colour in panel.steps]
    limits = {"min": panel.lowest, "max": panel.highest}
    shown: dict[str, Any] = {"unit": panel.unit, "thresholds": {"mode": "absolute", "steps": steps}}
    shown |= {name: value for name, value in limits.items() if value is not None}
    if panel.kind is Kind.LINES:
        return shown | {"color": {"mode": "fixed"}, "custom": _drawn(panel)}
    return shown | {"color": {"mode": "thresholds"}, "noValue": "no data"}


def _drawn(panel: Panel) -> Mapping[str, Any]:
    return {
        "drawStyle": "line",
        "lineInterpolation": "stepAfter" if panel.is_stepped else "linear",
        "lineWidth": 2,
        "fillOpacity": 30 if panel.is_stacked else 0,
        "showPoints": "never",
        "spanNulls": False,
        "stacking": {"mode": "normal" if panel.is_stacked else "none", "group": "A"},
    }


def _overrides(panel: Panel) -> Sequence[Mapping[str, Any]]:
    if panel.kind is not Kind.LINES:
        return []
    return [
        {
            "matcher": {"id": "byFrameRefID", "options": ascii_uppercase[at]},
            "properties": _properties(query),
        }
        for at, query in enumerate(panel.queries)
    ]


def _properties(query: Query) -> Sequence[Mapping[str, Any]]:
    fixed = {"id": "color", "value": {"mode": "fixed", "fixedColor": query.colour.value}}
    if not query.is_limit:
        return [fixed]
    dashes = {"fill": "dash", "dash": [10, 10]}
    return [
        fixed,
        {"id": "custom.lineStyle", "value": dashes},
        {"id": "custom.stacking", "value": {"mode": "none", "group": "A"}},
    ]


_REDUCED = {"values": False, "calcs": ["lastNotNull"], "fields": ""}
_OPTIONS: Mapping[Kind, Mapping[str, Any]] = {
    Kind.LINES: {
        "legend": {
            "displayMode": "table",
            "placement": "bottom",
            "showLegend": True,
            "calcs": ["lastNotNull", "max"],
        },
        "tooltip": {"mode": "multi", "sort": "desc"},
    },
    Kind.STAT: {
        "reduceOptions": _REDUCED,
        "colorMode": "value",
        "graphMode": "area",
        "textMode": "auto",
    },
    Kind.BARS: {
        "reduceOptions": _REDUCED,
        "orientation": "horizontal",
        "displayMode": "basic",
        "showUnfilled": True,
    },
}
