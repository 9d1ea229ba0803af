"""The manifests under deploy/kubernetes, and where the API wants each object."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import yaml

from connectors.kubernetes.api import Api

BASE = Path(__file__).parents[2] / "deploy" / "kubernetes" / "base"
_PLURALS = {
    "ServiceAccount": "api/v1/namespaces/{}/serviceaccounts",
    "ConfigMap": "api/v1/namespaces/{}/configmaps",
    "Service": "api/v1/namespaces/{}/services",
    "Role": "apis/rbac.authorization.k8s.io/v1/namespaces/{}/roles",
    "RoleBinding": "apis/rbac.authorization.k8s.io/v1/namespaces/{}/rolebindings",
    "Deployment": "apis/apps/v1/namespaces/{}/deployments",
}


def manifests(*names: str) -> Iterator[dict[str, Any]]:
    """Yield the objects in the files *names* of the base; in all that it lists without any."""
    listed = yaml.safe_load((BASE / "kustomization.yaml").read_text())["resources"]
    for name in names or listed:
        yield from yaml.safe_load_all((BASE / name).read_text())


async def apply(api: Api, namespace: str, *names: str, user: str | None = None) -> None:
    """Create the objects in *namespace*; *user* is given what the service account is."""
    for item in manifests(*names):
        if item["kind"] == "RoleBinding" and user is not None:
            subject = {"kind": "User", "name": user, "apiGroup": "rbac.authorization.k8s.io"}
            item = {**item, "subjects": [subject]}
        await api.create("/" + _PLURALS[item["kind"]].format(namespace), item)
