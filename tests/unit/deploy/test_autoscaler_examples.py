"""The examples for other autoscalers follow the number that the planner tells, one for one."""

import re
from pathlib import Path

import pytest
import yaml
from kubernetes.client import models
from manifests import KUBERNETES, built, read
from prometheus_client import CollectorRegistry, generate_latest

from planner.cli.control.own_page import labelled
from planner.core.observation import Observation, Replicas
from planner.core.role import Role
from planner.metrics import LoopMetrics

EXAMPLES = KUBERNETES / "examples"
AT_ONCE = {"stabilizationWindowSeconds": 0}
NAME = "planner_desired_replicas"


def example(name: str) -> list[dict]:
    return read(EXAMPLES / name)


def told() -> str:
    """Return the planner's page as it is for the deployment of the base."""
    metrics = LoopMetrics(CollectorRegistry())
    fleet = {role: Replicas(ready=1) for role in (Role.PREFILL, Role.DECODE)}
    metrics.saw(Observation(at=0.0, fleet=fleet))
    (settings,) = [one for one in built(KUBERNETES / "base") if one["kind"] == "ConfigMap"]
    names = {"deployment": settings["data"]["PLANNER_DEPLOYMENT"]}
    return generate_latest(labelled(lambda: [(metrics.registry, names)])).decode()


def check_series(labels: dict[str, str]) -> None:
    """Fail unless the planner tells series with *labels*; its namespace is Prometheus' to add."""
    rows = [row for row in told().splitlines() if row.startswith("planner_ready_replicas{")]
    own = {f'{name}="{value}"' for name, value in labels.items() if name != "namespace"}
    assert any(own <= set(re.findall(r'\w+="\w*"', row)) for row in rows)
    assert f"# TYPE {NAME} gauge" in told()


def check_at_once(behavior: dict) -> None:
    for direction in ("scaleUp", "scaleDown"):
        assert AT_ONCE.items() <= behavior[direction].items()


@pytest.mark.parametrize("name", ["hpa.yaml", "keda.yaml"])
def test_both_roles_are_scaled_and_are_deployments_of_the_overlays(name: str) -> None:
    deployments = {
        item["metadata"]["name"]
        for item in built(KUBERNETES / "overlays" / "simulated")
        if item["kind"] == "Deployment"
    }
    targets = [item["spec"]["scaleTargetRef"] for item in example(name)]
    assert {target["name"] for target in targets} == {"prefill", "decode"} <= deployments


def test_the_hpa_takes_the_number_as_it_is() -> None:
    for item in example("hpa.yaml"):
        models.V2HorizontalPodAutoscaler.model_validate(item)
        (metric,) = item["spec"]["metrics"]
        external = metric["external"]
        assert external["metric"]["name"] == NAME
        assert external["target"] == {"type": "AverageValue", "averageValue": "1"}
        labels = external["metric"]["selector"]["matchLabels"]
        assert labels["role"] == item["spec"]["scaleTargetRef"]["name"]
        check_series(labels)
        check_at_once(item["spec"]["behavior"])


def test_the_adapter_gives_the_labels_that_are_selected_by() -> None:
    (file,) = example("prometheus-adapter.yaml")
    (rule,) = file["rules"]["external"]
    assert rule["name"]["matches"] == NAME
    assert rule["seriesQuery"].startswith(f"{NAME}{{")
    (kept,) = re.findall(r"max by \((.*?)\)", rule["metricsQuery"])
    selected = example("hpa.yaml")[0]["spec"]["metrics"][0]["external"]["metric"]["selector"]
    assert selected["matchLabels"].keys() <= set(kept.split(", "))


def test_keda_takes_the_number_as_it_is() -> None:
    for item in example("keda.yaml"):
        (trigger,) = item["spec"]["triggers"]
        assert (trigger["type"], trigger["metricType"]) == ("prometheus", "AverageValue")
        metadata = trigger["metadata"]
        assert metadata["threshold"] == "1"
        assert metadata["ignoreNullValues"] == "false"
        assert all(isinstance(value, str) for value in metadata.values())
        (name, matchers) = re.fullmatch(r"max\((\w+)\{(.*)\}\)", metadata["query"]).groups()
        assert name == NAME
        labels = dict(re.findall(r'(\w+)="(\w+)"', matchers))
        assert labels["role"] == item["spec"]["scaleTargetRef"]["name"]
        check_series(labels)
        check_at_once(item["spec"]["advanced"]["horizontalPodAutoscalerConfig"]["behavior"])


@pytest.mark.parametrize("path", sorted(EXAMPLES.glob("*.yaml")), ids=lambda path: path.name)
def test_the_guide_leads_to_it(path: Path) -> None:
    assert yaml.safe_load_all(path.read_text())
    guide = KUBERNETES.parents[1] / "docs" / "guides" / "kubernetes.md"
    assert f"deploy/kubernetes/examples/{path.name}" in guide.read_text()
