"""A whole dashboard: its sections one under the other, its variables and its annotations."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import count
from typing import Any

from dashboards.grafana.panels import DATASOURCE, Colour, Panel, panel_json

_COLUMNS = 24
_SCHEMA_VERSION = 42
_LEADS = ("10s", "30s", "1m", "2m", "5m", "10m")


@dataclass(frozen=True, slots=True, kw_only=True)
class Section:
    """Panels under a heading, from left to right and then on the next line."""

    title: str
    panels: Sequence[Panel]


@dataclass(frozen=True, slots=True, kw_only=True)
class Dashboard:
    """What a dashboard has. With *asks_lead* one can choose how far forecasts are shifted."""

    title: str
    description: str
    sections: Sequence[Section]
    asks_lead: bool = False


def document(dashboard: Dashboard, *, uid: str) -> Mapping[str, Any]:
    """Return *dashboard* as the JSON that Grafana provisions and imports."""
    return {
        "uid": uid,
        "title": dashboard.title,
        "description": dashboard.description,
        "tags": ["planner"],
        "schemaVersion": _SCHEMA_VERSION,
        "editable": True,
        "graphTooltip": 1,
        "refresh": "10s",
        "time": {"from": "now-1h", "to": "now"},
        "timezone": "browser",
        "templating": {"list": list(_variables(asks_lead=dashboard.asks_lead))},
        "annotations": {"list": [_scalings()]},
        "links": [_links()],
        "panels": list(_placed(dashboard.sections)),
    }


def _placed(sections: Sequence[Section]) -> Iterator[Mapping[str, Any]]:
    numbers, y = count(1), 0
    for section in sections:
        yield {
            "id": next(numbers),
            "type": "row",
            "title": section.title,
            "collapsed": False,
            "gridPos": {"x": 0, "y": y, "w": _COLUMNS, "h": 1},
            "panels": [],
        }
        y += 1
        x = tallest = 0
        for panel in section.panels:
            if x + panel.width > _COLUMNS:
                x, y, tallest = 0, y + tallest, 0
            yield panel_json(panel, number=next(numbers), x=x, y=y)
            x, tallest = x + panel.width, max(tallest, panel.height)
        y += tallest


def _variables(*, asks_lead: bool) -> Iterator[Mapping[str, Any]]:
    yield {
        "name": "datasource",
        "label": "Data source",
        "type": "datasource",
        "query": "prometheus",
        "current": {},
    }
    requests = "planner_frontend_requests_started_total"
    yield _labels("namespace", "Namespace", "planner_acts")
    yield _labels("model", "Model", f'{requests}{{namespace=~"$namespace"}}')
    yield _labels("role", "Role", 'planner_current_replicas{namespace=~"$namespace"}')
    if asks_lead:
        yield {
            "name": "lead",
            "label": "Forecasts shifted by",
            "type": "custom",
            "query": ",".join(_LEADS),
            "current": {"text": _LEADS[0], "value": _LEADS[0], "selected": True},
            "options": [
                {"text": lead, "value": lead, "selected": lead == _LEADS[0]} for lead in _LEADS
            ],
        }


def _labels(name: str, label: str, series: str) -> Mapping[str, Any]:
    query = f"label_values({series}, {name})"
    return {
        "name": name,
        "label": label,
        "type": "query",
        "datasource": DATASOURCE,
        "definition": query,
        "query": {"query": query, "refId": f"variable-{name}"},
        "refresh": 2,
        "sort": 1,
        "multi": True,
        "includeAll": True,
        "allValue": ".*",
        "current": {"text": ["All"], "value": ["$__all"], "selected": True},
    }


def _scalings() -> Mapping[str, Any]:
    desired = 'namespace_deployment_role:planner_desired_replicas:max{namespace=~"$namespace"}'
    return {
        "name": "Scaled",
        "datasource": DATASOURCE,
        "enable": True,
        "iconColor": Colour.PURPLE.value,
        "expr": f"changes({desired}[$__rate_interval]) > 0",
        "titleFormat": "{{role}}: another number decided on",
    }


def _links() -> Mapping[str, Any]:
    return {
        "title": "Planner",
        "type": "dashboards",
        "tags": ["planner"],
        "asDropdown": False,
        "includeVars": True,
        "keepTime": True,
    }
