"""The manifests under deploy/kubernetes as kustomize builds them, and their places in the API.

Of kustomize only what those manifests use: resources, components and JSON patches.
"""

from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import yaml

from connectors.kubernetes.api import Api, ApiRefused

KUBERNETES = Path(__file__).parents[2] / "deploy" / "kubernetes"
BASE = KUBERNETES / "base"
OVERLAYS = sorted(path.parent for path in KUBERNETES.glob("overlays/*/kustomization.yaml"))
_KNOWN = {"apiVersion", "kind", "resources", "components", "patches"}
_OLDER = {"policy/v1": "policy/v1beta1", "autoscaling/v2": "autoscaling/v2beta2"}
"""Where a server of Kubernetes 1.20 has what newer ones have."""

Item = dict[str, Any]


def manifests(*names: str) -> Iterator[Item]:
    """Yield the objects in the files *names* of the base; in all that it lists without any."""
    yield from (one for name in names for one in read(BASE / name)) if names else built(BASE)


def read(path: Path) -> list[Item]:
    """Return the objects in the file *path*."""
    return list(yaml.safe_load_all(path.read_text()))


def built(folder: Path) -> list[Item]:
    """Return what ``kubectl kustomize FOLDER`` prints, in the order of the files."""
    items: list[Item] = []
    _add(folder, items)
    return items


def _add(folder: Path, items: list[Item]) -> None:
    plan = yaml.safe_load((folder / "kustomization.yaml").read_text())
    assert plan.keys() <= _KNOWN, f"{folder}: {plan.keys() - _KNOWN}"
    is_component = plan["kind"] == "Component"
    own = items if is_component else []
    for name in plan.get("resources", ()):
        path = folder / name
        own.extend(built(path) if path.is_dir() else read(path))
    for name in plan.get("components", ()):
        _add(folder / name, own)
    for patch in plan.get("patches", ()):
        _patch(own, patch)
    if not is_component:
        items.extend(own)


def _patch(items: list[Item], patch: Item) -> None:
    wanted = patch["target"]["kind"], patch["target"]["name"]
    (item,) = (one for one in items if (one["kind"], one["metadata"]["name"]) == wanted)
    for step in yaml.safe_load(patch["patch"]):
        *parents, last = (part.replace("~1", "/") for part in step["path"].split("/")[1:])
        place = item
        for part in parents:
            place = place[int(part)] if isinstance(place, list) else place[part]
        if last == "-":
            place.append(step["value"])  # type: ignore[attr-defined]
        else:
            assert (last in place) == (step["op"] == "replace"), step
            place[last] = step["value"]


def collection(item: Item, namespace: str) -> str:
    """Return the path of the collection that *item* belongs to."""
    version, kind = item["apiVersion"], item["kind"].lower()
    plural = f"{kind[:-1]}ies" if kind.endswith("y") else f"{kind}s"
    return f"/{'apis' if '/' in version else 'api'}/{version}/namespaces/{namespace}/{plural}"


async def apply(api: Api, namespace: str, *names: str, user: str | None = None) -> None:
    """Create objects of the base in *namespace*; *user* is given what the service account is."""
    await create(api, namespace, manifests(*names), user=user)


async def create(
    api: Api, namespace: str, items: Iterable[Item], *, user: str | None = None
) -> None:
    """Create *items* in *namespace*, at the older version of an API where there is no newer one."""
    for item in items:
        if item["kind"] == "RoleBinding" and user is not None:
            subject = {"kind": "User", "name": user, "apiGroup": "rbac.authorization.k8s.io"}
            item = {**item, "subjects": [subject]}
        try:
            await api.create(collection(item, namespace), item)
        except ApiRefused as error:
            older = _OLDER.get(item["apiVersion"])
            if older is None or not error.is_missing:
                raise
            item = {**item, "apiVersion": older}
            await api.create(collection(item, namespace), item)
