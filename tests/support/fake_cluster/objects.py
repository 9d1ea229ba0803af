"""Objects that tests put into a cluster."""

from typing import Any

Json = dict[str, Any]


def pod_template(labels: dict[str, str], *, gpus: int, notes: dict[str, str] | None = None) -> Json:
    container: Json = {"name": "worker", "image": "worker"}
    if gpus:
        container["resources"] = {"limits": {"nvidia.com/gpu": str(gpus)}}
    return {
        "metadata": {"labels": labels, "annotations": notes or {}},
        "spec": {"containers": [container], "terminationGracePeriodSeconds": 60},
    }


def labels_of(deployment: str, role: str) -> dict[str, str]:
    return {"planner/deployment": deployment, "planner/role": role}


def workload(
    kind: str,
    role: str,
    *,
    replicas: int,
    deployment: str = "test",
    gpus: int = 1,
    notes: dict[str, str] | None = None,
) -> Json:
    """Return a Deployment or StatefulSet called *role*."""
    labels = labels_of(deployment, role)
    spec: Json = {
        "replicas": replicas,
        "selector": {"matchLabels": labels},
        "template": pod_template(labels, gpus=gpus, notes=notes),
    }
    if kind == "StatefulSet":
        spec |= {"serviceName": role, "podManagementPolicy": "Parallel"}
    meta = {"name": role, "labels": labels}
    return {"apiVersion": "apps/v1", "kind": kind, "metadata": meta, "spec": spec}


def leader_worker_set(role: str, *, replicas: int, size: int, gpus: int) -> Json:
    labels = labels_of("test", role)
    template = pod_template(labels, gpus=gpus)
    return {
        "apiVersion": "leaderworkerset.x-k8s.io/v1",
        "kind": "LeaderWorkerSet",
        "metadata": {"name": role, "labels": labels},
        "spec": {
            "replicas": replicas,
            "leaderWorkerTemplate": {"size": size, "workerTemplate": template},
        },
    }


def autoscaler(target: str) -> Json:
    return {
        "apiVersion": "autoscaling/v1",
        "kind": "HorizontalPodAutoscaler",
        "metadata": {"name": f"{target}-hpa"},
        "spec": {
            "scaleTargetRef": {"apiVersion": "apps/v1", "kind": "Deployment", "name": target},
            "minReplicas": 1,
            "maxReplicas": 3,
        },
    }
