"""Prometheus' rules and configuration, by its own checker: each alert fires, and does not."""

import json
import re
import subprocess
from pathlib import Path

import pytest
from alert_cases import CASES, Series
from monitoring import PROMETHEUS, ROOT, RULES, recorded, rules, unknown_names
from prometheus import MISSING, find_promtool

ALERTS = {rule["alert"]: rule for rule in rules("alert")}
needs_promtool = pytest.mark.skipif(find_promtool() is None, reason=MISSING)


def promtool(*arguments: str) -> str:
    """Return what it says; a check that fails fails the test."""
    done = subprocess.run(
        [find_promtool() or "", *arguments], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


@needs_promtool
def test_rules_and_configurations_are_valid():
    files = sorted(PROMETHEUS.glob("*.yml"))
    assert files
    for file in files:
        assert f"{len(RULES)} rule files found" in promtool("check", "config", str(file))


@pytest.mark.parametrize("kind", ["alert", "record"])
def test_each_name_in_a_rule_is_one_that_something_exposes(kind):
    found = list(rules(kind))
    assert len(found) > 10
    for rule in found:
        assert unknown_names(rule["expr"]) == [], rule[kind]


def test_windows_differ_by_their_length_alone():
    by_family: dict[str, set[str]] = {}
    for rule in rules("record"):
        family, _, window = rule["record"].rpartition("rate")
        if re.fullmatch(r"\d+[mhd]", window):
            neutral = re.sub(rf"\b{window}\b|(?<=rate){window}\b", "W", rule["expr"])
            by_family.setdefault(family, set()).add(neutral)
    assert len(by_family) == 10
    assert [family for family, told in by_family.items() if len(told) > 1] == []


def test_nothing_is_recorded_twice():
    assert len(recorded()) == len(list(rules("record")))


@pytest.mark.parametrize("rule", ALERTS.values(), ids=ALERTS)
def test_an_alert_says_what_it_means_and_where_to_read_on(rule):
    assert rule["labels"]["severity"] in {"critical", "warning"}
    assert set(rule["annotations"]) == {"summary", "description", "runbook_url"}
    page, _, section = rule["annotations"]["runbook_url"].partition("#")
    headings = re.findall(r"^#+ (.+)$", (ROOT / page).read_text(), re.MULTILINE)
    anchors = {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}
    assert section in anchors


def test_the_guide_lists_each_alert_with_its_severity():
    guide = (ROOT / "docs" / "guides" / "monitoring.md").read_text()
    rows = [line.split("|")[1:3] for line in guide.splitlines() if line.startswith("| `Planner")]
    listed = {name: level.strip() for names, level in rows for name in re.findall(r"\w+", names)}
    assert listed == {name: rule["labels"]["severity"] for name, rule in ALERTS.items()}


def test_each_alert_is_seen_to_fire_and_not_to():
    assert {case.alert for case in CASES.values() if case.description} == set(ALERTS)
    assert {case.alert for case in CASES.values() if not case.description} == set(ALERTS)


@needs_promtool
@pytest.mark.parametrize("name", CASES)
def test_an_alert_fires_when_it_should(name: str, tmp_path: Path):
    case = CASES[name]
    rule = ALERTS[case.alert]
    fired = {
        "exp_labels": {**rule["labels"], **case.labels},
        "exp_annotations": {**rule["annotations"], "description": case.description},
    }
    expected = {
        "eval_time": case.at,
        "alertname": case.alert,
        "exp_alerts": [fired] if case.description else [],
    }
    evaluated(tmp_path, case.series, alert_rule_test=[expected])


def evaluated(folder: Path, series: Series, **expected: object) -> None:
    """Let promtool see *series*, and what is *expected* of the rules."""
    seen = [{"series": name, "values": values} for name, values in series.items()]
    file = folder / "test.json"
    file.write_text(json.dumps({
        "rule_files": [str(path) for path in RULES],
        "evaluation_interval": "1m",
        "tests": [{"interval": "1m", "input_series": seen, **expected}],
    }))  # fmt: skip
    promtool("test", "rules", str(file))


TARGET = "namespace_model:planner_target_attainment:max"
DESIRED = "namespace_deployment_role:planner_desired_replicas:max"
STARTED = 'planner_frontend_requests_started_total{namespace="n",instance="f:1",model="%s"}'


@needs_promtool
@pytest.mark.parametrize(
    ("series", "name", "expected"),
    [
        pytest.param(
            {
                STARTED % "a": "0+1x9",
                STARTED % "b": "0+1x9",
                'planner_target_attainment{namespace="n",instance="p:1",model="a"}': "0.9x9",
                'planner_target_attainment{namespace="n",instance="p:2"}': "0.99x9",
                'planner_target_attainment{namespace="n",instance="p:3"}': "0.95x2 stale",
            },
            TARGET,
            {
                f'{TARGET}{{namespace="n",model="a"}}': 0.9,
                f'{TARGET}{{namespace="n",model="b"}}': 0.99,
            },
            id="a model's own target goes before that of its namespace",
        ),
        pytest.param(
            {
                'planner_desired_replicas{namespace="n",instance="p:1",role="decode"}': "3x9",
                'planner_acts{namespace="n",instance="p:1"}': "1x9",
                'planner_desired_replicas{namespace="n",instance="p:2",role="decode"}': "7x9",
                'planner_acts{namespace="n",instance="p:2"}': "0x9",
                'planner_desired_replicas{namespace="m",instance="p:3",role="decode"}': "5x9",
                'planner_acts{namespace="m",instance="p:3"}': "0x9",
            },
            DESIRED,
            {
                f'{DESIRED}{{namespace="n",role="decode"}}': 3,
                f'{DESIRED}{{namespace="m",role="decode"}}': 5,
            },
            id="who acts speaks for a deployment, or else who observes",
        ),
    ],
)
def test_what_is_recorded(series, name, expected, tmp_path):
    samples = [{"labels": labels, "value": value} for labels, value in expected.items()]
    asked = {"expr": name, "eval_time": "5m", "exp_samples": samples}
    evaluated(tmp_path, series, promql_expr_test=[asked])
