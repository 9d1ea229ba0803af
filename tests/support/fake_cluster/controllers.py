"""What the controller manager does: make the pods of a workload as many as it wants."""

import secrets
from typing import TYPE_CHECKING

from fake_cluster.store import Json

if TYPE_CHECKING:
    from fake_cluster.server import FakeApiServer

_COST = "controller.kubernetes.io/pod-deletion-cost"
_GROUP = "leaderworkerset.sigs.k8s.io"


def reconcile(server: "FakeApiServer", path: str, name: str) -> None:
    """Create or delete pods of the workload *name* at *path*, if it still exists."""
    item = server.store.objects.get((path, name))
    if item is None:
        return
    plural, namespace = path.rpartition("/")[2], path.split("/")[-2]
    pods = f"/api/v1/namespaces/{namespace}/pods"
    mine = server.owned(item["metadata"]["uid"])
    wants = item["spec"].get("replicas", 1)
    if plural == "deployments":
        _unordered(server, pods, item, mine, wants)
    else:
        _ordered(server, pods, item, mine, wants)


def _unordered(
    server: "FakeApiServer", pods: str, item: Json, mine: list[Json], wants: int
) -> None:
    alive = [pod for pod in mine if "deletionTimestamp" not in pod["metadata"]]
    for _ in range(wants - len(alive)):
        name = f"{item['metadata']['name']}-5d8f-{secrets.token_hex(3)}"
        server.store.create(pods, _pod(item, name, item["spec"]["template"], {}, {}))
    for pod in sorted(alive, key=_worth)[: max(0, len(alive) - wants)]:
        server.delete(pods, pod["metadata"]["name"])


def _ordered(server: "FakeApiServer", pods: str, item: Json, mine: list[Json], wants: int) -> None:
    present = {pod["metadata"]["name"] for pod in mine}
    wanted = [one for n in range(wants) for one in _replica(item, n)]
    for pod in wanted:
        if pod["metadata"]["name"] not in present:
            server.store.create(pods, pod)
    keep = {pod["metadata"]["name"] for pod in wanted}
    for pod in mine:
        if pod["metadata"]["name"] not in keep and "deletionTimestamp" not in pod["metadata"]:
            server.delete(pods, pod["metadata"]["name"])


def _replica(item: Json, index: int) -> list[Json]:
    """Return the pods of one replica: a leader and its workers where it is a group."""
    name = f"{item['metadata']['name']}-{index}"
    group = item["spec"].get("leaderWorkerTemplate")
    if group is None:
        return [_pod(item, name, item["spec"]["template"], {}, {})]
    labels = {f"{_GROUP}/group-index": str(index)}
    notes = {f"{_GROUP}/size": str(group["size"])}
    worker = group["workerTemplate"]
    leader = _pod(item, name, group.get("leaderTemplate") or worker, labels, notes)
    others = [_pod(item, f"{name}-{n}", worker, labels, notes) for n in range(1, group["size"])]
    return [leader, *others]


def _pod(
    item: Json, name: str, template: Json, labels: dict[str, str], notes: dict[str, str]
) -> Json:
    meta = template.get("metadata") or {}
    return {
        "metadata": {
            "name": name,
            "labels": {**(meta.get("labels") or {}), **labels},
            "annotations": {**(meta.get("annotations") or {}), **notes},
            "ownerReferences": [{"uid": item["metadata"]["uid"], "controller": True}],
        },
        "spec": dict(template["spec"]),
        "status": {"phase": "Pending"},
    }


def _worth(pod: Json) -> tuple[bool, bool, int]:
    conditions = pod["status"].get("conditions") or ()
    ready = any(one["type"] == "Ready" and one["status"] == "True" for one in conditions)
    cost = int((pod["metadata"].get("annotations") or {}).get(_COST, 0))
    return bool(pod["spec"].get("nodeName")), ready, cost
