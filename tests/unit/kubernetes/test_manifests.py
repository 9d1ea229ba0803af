"""What the manifests say fits the program that they start."""

import pytest
import yaml
from manifests import BASE, manifests

from connectors.kubernetes.kinds import LEADER_WORKER_SETS, Kind
from planner.config import Settings

OVERLAYS = sorted(BASE.parent.glob("overlays/*/kustomization.yaml"))


def only(kind: str) -> dict:
    (found,) = [item for item in manifests() if item["kind"] == kind]
    return found


def test_every_variable_is_a_setting() -> None:
    container = only("Deployment")["spec"]["template"]["spec"]["containers"][0]
    names = [*only("ConfigMap")["data"], *(one["name"] for one in container["env"])]

    assert {name.removeprefix("PLANNER_").lower() for name in names} <= set(Settings.model_fields)


def test_rights_name_what_they_reach() -> None:
    rules = only("Role")["rules"]

    assert not any("*" in str(rule) for rule in rules)
    writing = {"create", "update", "patch", "delete"}
    reached = {name for rule in rules if writing & set(rule["verbs"]) for name in rule["resources"]}
    assert reached == {"deployments/scale", "statefulsets/scale", "pods", "leases"}


def test_it_runs_without_privileges() -> None:
    pod = only("Deployment")["spec"]["template"]["spec"]
    container = pod["containers"][0]

    assert pod["securityContext"]["runAsNonRoot"]
    assert container["securityContext"] == {
        "allowPrivilegeEscalation": False,
        "readOnlyRootFilesystem": True,
        "capabilities": {"drop": ["ALL"]},
    }
    assert {"readinessProbe", "livenessProbe"} <= container.keys()


@pytest.mark.parametrize("path", OVERLAYS, ids=lambda path: path.parent.name)
def test_an_overlay_patches_what_the_base_has(path) -> None:
    overlay = yaml.safe_load(path.read_text())
    assert [(path.parent / one).resolve() for one in overlay["resources"]] == [BASE]
    for patch in overlay["patches"]:
        item = only(patch["target"]["kind"])
        assert item["metadata"]["name"] == patch["target"]["name"]
        for step in yaml.safe_load(patch["patch"]):
            assert step["op"] == "add"
            assert step["path"].split("/")[1] in item


def test_the_group_overlay_names_its_kind() -> None:
    text = (BASE.parent / "overlays/leaderworkerset/kustomization.yaml").read_text()
    (value,) = [
        step["value"]
        for patch in yaml.safe_load(text)["patches"]
        for step in yaml.safe_load(patch["patch"])
        if step["path"] == "/data/PLANNER_KUBE_KINDS"
    ]
    assert Kind.parse(value) == LEADER_WORKER_SETS
