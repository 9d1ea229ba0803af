"""What rules and dashboards say, and the metrics of the product that they may name."""

import json
import re
from collections.abc import Iterator, Mapping
from functools import cache
from pathlib import Path
from typing import Any

import yaml
from generator import generator

ROOT = Path(__file__).parents[2]
PROMETHEUS = ROOT / "deploy" / "prometheus"
RULES = tuple(sorted((PROMETHEUS / "rules").glob("*.yml")))
GRAFANA = ROOT / "dashboards" / "grafana"

_ROW = re.compile(r"^\| `(planner_\w+)` \| (\w+) \|", re.MULTILINE)
_PARTS = {"histogram": ("_bucket", "_count", "_sum")}
_LABELS = re.compile(r"\{[^{}]*\}")
_NAME = re.compile(r"\b(?:\w+:)?planner_\w+(?::\w+)?")
_VARIABLES = {"__rate_interval": "1m", "__range": "5m", "lead": "10s"}


@cache
def product_series() -> frozenset[str]:
    """Return the names of all series that processes of the product expose."""
    tables = generator()
    kinds = (tables.frontend_metrics, tables.worker_metrics, tables.planner_metrics)
    rows = [row for table in kinds for row in _ROW.findall(table())]
    return frozenset(f"{name}{part}" for name, kind in rows for part in _PARTS.get(kind, ("",)))


def rules(kind: str) -> Iterator[Mapping[str, Any]]:
    """Yield the rules that are an ``alert`` or a ``record``."""
    for file in RULES:
        for group in yaml.safe_load(file.read_text())["groups"]:
            yield from (rule for rule in group["rules"] if kind in rule)


@cache
def recorded() -> frozenset[str]:
    """Return the names of what the rules record."""
    return frozenset(rule["record"] for rule in rules("record"))


def unknown_names(expression: str) -> list[str]:
    """Return the names in *expression* that neither the product nor a rule has."""
    bare = _LABELS.sub("", expression)
    return sorted(set(_NAME.findall(bare)) - product_series() - recorded())


def dashboards() -> Mapping[str, Mapping[str, Any]]:
    """Return Grafana's dashboards by name."""
    return {path.stem: json.loads(path.read_text()) for path in sorted(GRAFANA.glob("*.json"))}


def panels(dashboard: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    """Return the panels of *dashboard* that show something."""
    return [panel for panel in dashboard["panels"] if panel["type"] != "row"]


def expressions(dashboard: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    """Yield what *dashboard* asks for, as Prometheus is asked, after whose it is."""
    for panel in panels(dashboard):
        for target in panel["targets"]:
            yield f"{panel['title']}: {target['legendFormat']}", filled(target["expr"])
    for annotation in dashboard["annotations"]["list"]:
        yield f"annotation {annotation['name']}", filled(annotation["expr"])


def filled(expression: str) -> str:
    """Return *expression* as Grafana sends it where everything is chosen."""

    def value(found: re.Match[str]) -> str:
        return _VARIABLES.get(found.group(1), ".*")

    return re.sub(r"\$(\w+)", value, expression)
