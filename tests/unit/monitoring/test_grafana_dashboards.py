"""Grafana's dashboards: what is committed, whether it holds together, and what it asks for."""

import json
import subprocess
from itertools import combinations
from pathlib import Path

import pytest
from monitoring import (
    GRAFANA,
    dashboards,
    expressions,
    panels,
    unknown_names,
)
from prometheus import MISSING, find_promtool

from dashboards.grafana import documents
from dashboards.grafana.decisions import FAMILIES
from dashboards.grafana.panels import ROLES, Colour
from planner.core.plan import Reason
from planner.core.role import Role
from planner.metrics import REJECTED
from planner.ports import Outcome
from runtime.frontend.metrics import Status
from workers.disaggregation.remote import Outcome as RemoteOutcome

ALL = dashboards()
each = pytest.mark.parametrize("dashboard", ALL.values(), ids=ALL)


def test_what_is_committed_is_what_is_generated():
    written = {path.stem: path.read_text() for path in GRAFANA.glob("*.json")}
    made = {name: json.dumps(one, indent=2) + "\n" for name, one in documents().items()}
    assert written == made, "python -m dashboards.grafana"


@each
def test_panels_have_numbers_of_their_own_and_do_not_overlap(dashboard):
    places = [(panel["id"], panel["gridPos"]) for panel in dashboard["panels"]]
    assert len({number for number, _ in places}) == len(places)
    for (_, one), (_, other) in combinations(places, 2):
        beside = one["x"] + one["w"] <= other["x"] or other["x"] + other["w"] <= one["x"]
        apart = one["y"] + one["h"] <= other["y"] or other["y"] + other["h"] <= one["y"]
        assert beside or apart, (one, other)
    assert all(place["x"] + place["w"] <= 24 for _, place in places)


@each
def test_every_panel_has_a_unit_a_description_and_the_chosen_source(dashboard):
    for panel in panels(dashboard):
        assert len(panel["description"]) > 20, panel["title"]
        assert panel["fieldConfig"]["defaults"]["unit"], panel["title"]
        sources = [panel["datasource"], *(target["datasource"] for target in panel["targets"])]
        assert {source["uid"] for source in sources} == {"${datasource}"}
        letters = [target["refId"] for target in panel["targets"]]
        assert len(set(letters)) == len(letters)
    titles = [panel["title"] for panel in panels(dashboard)]
    assert len(set(titles)) == len(titles)


@each
def test_series_of_a_panel_differ_by_colour_or_by_dashes(dashboard):
    palette = {colour.value for colour in Colour}
    for panel in panels(dashboard):
        looks = []
        for override in panel["fieldConfig"]["overrides"]:
            told = {one["id"]: one["value"] for one in override["properties"]}
            assert told["color"]["fixedColor"] in palette
            looks.append((told["color"]["fixedColor"], "custom.lineStyle" in told))
        assert len(set(looks)) == len(looks), panel["title"]


def test_dashboards_have_addresses_of_their_own():
    assert {one["uid"] for one in ALL.values()} == set(ALL)
    assert {one["schemaVersion"] for one in ALL.values()} == {42}


@each
def test_each_name_is_one_that_something_exposes(dashboard):
    for whose, expression in expressions(dashboard):
        assert unknown_names(expression) == [], whose


@pytest.mark.parametrize(
    ("expression", "unknown"),
    [
        ('rate(planner_tick_seconds_bucket{role="planner_x"}[5m])', []),
        ("planner_tick_seconds", ["planner_tick_seconds"]),
        ("planner_ready_replicas / planner_steady_replicas", ["planner_steady_replicas"]),
        ("namespace_model:planner_attainment:ratio_rate5m", []),
        (
            "namespace_model:planner_attainment:ratio_rate5w",
            ["namespace_model:planner_attainment:ratio_rate5w"],
        ),
    ],
)
def test_a_name_that_nothing_exposes_is_found(expression, unknown):
    assert unknown_names(expression) == unknown


def test_each_value_of_a_label_has_its_colour():
    reasons = [reason for _, members in FAMILIES.values() for reason in members]
    assert sorted(reasons) == sorted(reason.value for reason in Reason)
    assert set(ROLES) == {role.value for role in Role}
    told = "".join(one for dashboard in ALL.values() for _, one in expressions(dashboard))
    for outcome in (*Outcome, REJECTED, *RemoteOutcome):
        assert f'outcome="{outcome}"' in told
    for status in Status:
        assert f'status="{status}"' in told


@pytest.mark.skipif(find_promtool() is None, reason=MISSING)
@each
def test_expressions_are_promql(dashboard, tmp_path: Path):
    file = tmp_path / "rules.json"
    made = [{"record": f"r{at}", "expr": one} for at, (_, one) in enumerate(expressions(dashboard))]
    assert len(made) > 20
    file.write_text(json.dumps({"groups": [{"name": "panels", "rules": made}]}))
    checked = subprocess.run(
        [find_promtool() or "", "check", "rules", str(file)],
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert checked.returncode == 0, checked.stderr
