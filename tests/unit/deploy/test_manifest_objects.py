"""Each object fits the API's schema, what it names is there, and no pod has more than it needs."""

import shutil
import subprocess
from pathlib import Path

import pytest
import yaml
from kubernetes.client import models
from manifests import BASE, KUBERNETES, OVERLAYS, built, read

_PREFIXES = {
    "policy/v1": "V1",
    "apps/v1": "V1",
    "v1": "V1",
    "rbac.authorization.k8s.io/v1": "V1",
    "networking.k8s.io/v1": "V1",
    "autoscaling/v2": "V2",
}
_OF_OPERATORS = {"PodMonitor", "ScaledObject"}
_RESTRICTED_VOLUMES = {"emptyDir", "persistentVolumeClaim"}


def check(item: dict) -> None:
    """Raise where *item* has a field that Kubernetes does not know, or a value of another type."""
    kind = getattr(models, _PREFIXES[item["apiVersion"]] + item["kind"])
    seen = kind.model_validate(item).model_dump(by_alias=True, exclude_unset=True)
    assert seen == item


def pod_of(workload: dict) -> dict:
    return workload["spec"]["template"]["spec"]


def labels_of(workload: dict) -> dict:
    return workload["spec"]["template"]["metadata"]["labels"]


def fits(selector: dict, labels: dict) -> bool:
    """Return whether a label selector takes *labels*."""
    rules = {
        "In": lambda rule: labels.get(rule["key"]) in rule["values"],
        "Exists": lambda rule: rule["key"] in labels,
    }
    return selector.get("matchLabels", {}).items() <= labels.items() and all(
        rules[rule["operator"]](rule) for rule in selector.get("matchExpressions", ())
    )


def test_every_object_fits_the_schema(manifest) -> None:
    assert manifest.items
    for item in manifest.items:
        check(item)


@pytest.mark.parametrize(
    "wrong",
    [{"maxUnavailable": 1, "selectors": {}}, {"max_unavailable": 1}, {"maxUnavailable": [1]}],
    ids=["unknown field", "not the API's spelling", "another type"],
)
def test_the_schema_would_refuse(wrong: dict) -> None:
    with pytest.raises((ValueError, AssertionError)):
        check({"apiVersion": "policy/v1", "kind": "PodDisruptionBudget", "spec": wrong})


def test_no_object_is_there_twice(manifest) -> None:
    names = [(item["kind"], item["metadata"]["name"]) for item in manifest.items]
    assert len(set(names)) == len(names)


def test_pods_are_restricted(manifest) -> None:
    """They would be let into a namespace with the pod security standard "restricted"."""
    for workload in manifest.workloads:
        pod = pod_of(workload)
        assert not {"hostNetwork", "hostPID", "hostIPC", "initContainers"} & pod.keys()
        assert pod["securityContext"]["runAsNonRoot"]
        assert pod["securityContext"]["runAsUser"] > 0
        assert pod["securityContext"]["seccompProfile"] == {"type": "RuntimeDefault"}
        for volume in pod.get("volumes", ()):
            assert volume.keys() - {"name"} <= _RESTRICTED_VOLUMES
        for container in pod["containers"]:
            assert container["securityContext"] == {
                "allowPrivilegeEscalation": False,
                "readOnlyRootFilesystem": True,
                "capabilities": {"drop": ["ALL"]},
            }
            assert not any("hostPort" in port for port in container["ports"])


def test_only_the_planner_has_credentials(manifest) -> None:
    for workload in manifest.workloads:
        pod = pod_of(workload)
        if workload["metadata"]["name"] == "planner":
            assert pod["serviceAccountName"] == "planner"
        else:
            assert pod["automountServiceAccountToken"] is False


def test_every_container_is_probed_and_has_its_memory(manifest) -> None:
    for workload in manifest.workloads:
        for container in pod_of(workload)["containers"]:
            ports = {port["name"] for port in container["ports"]}
            for probe in ("readinessProbe", "livenessProbe"):
                told = container[probe].get("httpGet") or container[probe]["tcpSocket"]
                assert told["port"] in ports
            assert container["resources"]["requests"].keys() >= {"cpu", "memory"}
            assert "memory" in container["resources"]["limits"]


def test_what_is_mounted_and_read_is_there(manifest) -> None:
    for workload in manifest.workloads:
        pod = pod_of(workload)
        claims = workload["spec"].get("volumeClaimTemplates", ())
        volumes = {v["name"] for v in pod.get("volumes", ())}
        volumes |= {claim["metadata"]["name"] for claim in claims}
        for volume in pod.get("volumes", ()):
            if claim := volume.get("persistentVolumeClaim"):
                manifest.named("PersistentVolumeClaim", claim["claimName"])
        for container in pod["containers"]:
            assert {mount["name"] for mount in container["volumeMounts"]} == volumes
            for source in container.get("envFrom", ()):
                manifest.named("ConfigMap", source["configMapRef"]["name"])


def test_every_selector_takes_what_it_is_for(manifest) -> None:
    pods = {one["metadata"]["name"]: labels_of(one) for one in manifest.workloads}
    for workload in manifest.workloads:
        assert fits(workload["spec"]["selector"], pods[workload["metadata"]["name"]])
        if service := workload["spec"].get("serviceName"):
            manifest.named("Service", service)
    for service in manifest.of("Service"):
        taken = [
            name for name, its in pods.items() if service["spec"]["selector"].items() <= its.items()
        ]
        assert len(taken) == 1
    for budget in manifest.of("PodDisruptionBudget"):
        name = budget["metadata"]["name"]
        assert [one for one, its in pods.items() if fits(budget["spec"]["selector"], its)] == [name]
    for policy in manifest.of("NetworkPolicy"):
        assert any(fits(policy["spec"]["podSelector"], its) for its in pods.values())


def test_nobody_is_open_to_all_but_at_named_ports(manifest) -> None:
    policies = manifest.of("NetworkPolicy")
    for workload in manifest.workloads:
        its = labels_of(workload)
        (policy,) = [one for one in policies if fits(one["spec"]["podSelector"], its)]
        ports = {port["name"] for one in pod_of(workload)["containers"] for port in one["ports"]}
        for rule in policy["spec"]["ingress"]:
            assert {port["port"] for port in rule.get("ports", ())} <= ports
            assert rule.get("from") or rule.get("ports")


def test_scaled_workloads_write_no_replicas(manifest) -> None:
    """Applying them again would undo what the planner did."""
    for workload in manifest.workloads:
        if "planner/role" in labels_of(workload):
            assert "replicas" not in workload["spec"]


def test_who_serves_is_replaced_one_at_a_time(manifest) -> None:
    budgets = {one["metadata"]["name"] for one in manifest.of("PodDisruptionBudget")}
    alone = {
        "etcd",
        "nats",
    }  # a budget for a single one would only keep its node from being emptied
    assert {one["metadata"]["name"] for one in manifest.workloads} - alone <= budgets


@pytest.mark.parametrize("path", sorted(KUBERNETES.glob("components/*")), ids=lambda p: p.name)
def test_a_component_is_in_an_overlay_or_for_an_operator(path: Path) -> None:
    users = [one for one in OVERLAYS if path.name in (one / "kustomization.yaml").read_text()]
    kinds = {item["kind"] for file in path.glob("*.yaml") for item in read(file)}
    assert users or kinds & _OF_OPERATORS


@pytest.mark.skipif(shutil.which("kubectl") is None, reason="kubectl is not installed")
@pytest.mark.parametrize("folder", [BASE, *OVERLAYS], ids=lambda path: path.name)
def test_kustomize_builds_the_same(folder: Path) -> None:
    run = subprocess.run(
        ["kubectl", "kustomize", folder], capture_output=True, text=True, check=False
    )
    assert run.returncode == 0, run.stderr

    def by_name(items: list[dict]) -> dict:
        return {(item["kind"], item["metadata"]["name"]): item for item in items}

    assert by_name(list(yaml.safe_load_all(run.stdout))) == by_name(built(folder))
