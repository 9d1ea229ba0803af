"""Grafana's dashboards beside this file, and what writes them: ``python -m dashboards.grafana``.

Each module has the panels of one dashboard; `panels` and `layout` turn them into Grafana's JSON.
"""

from collections.abc import Mapping
from typing import Any

from dashboards.grafana.decisions import DASHBOARD as DECISIONS
from dashboards.grafana.fleet import DASHBOARD as FLEET
from dashboards.grafana.layout import document
from dashboards.grafana.runtime import DASHBOARD as RUNTIME

DASHBOARDS = {
    "planner-fleet": FLEET,
    "planner-decisions": DECISIONS,
    "planner-runtime": RUNTIME,
}
"""By the name of the file, which is also their address in Grafana."""


def documents() -> Mapping[str, Mapping[str, Any]]:
    """Return the JSON of each dashboard by the name of its file."""
    return {name: document(its, uid=name) for name, its in DASHBOARDS.items()}
