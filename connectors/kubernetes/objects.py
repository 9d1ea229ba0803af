"""Workloads and pods as the planner cares for them, read from the API's objects."""

from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from connectors.kubernetes.api import Json
from connectors.kubernetes.kinds import LEADER_WORKER_SETS, Kind
from connectors.replicas import Replica
from planner.core.role import Role

DEPLOYMENT = "planner/deployment"
"""Label: which deployment a workload and its pods belong to."""
ROLE = "planner/role"
"""Label: which role they have."""
DRAINING = "planner/draining"
"""Annotation of a pod: since when it drains before it is let go, in seconds of the epoch."""
DRAIN_URL = "planner/drain-url"
"""Annotation of a pod: where it is told to drain, such as ``:8000/drain``."""
METRICS_URL = "planner/metrics-url"
"""Annotation of a pod: where its metrics are, such as ``:8000``."""
DELETION_COST = "controller.kubernetes.io/pod-deletion-cost"
GPU = "nvidia.com/gpu"

_GROUP_INDEX = "leaderworkerset.sigs.k8s.io/group-index"
_GROUP_SIZE = "leaderworkerset.sigs.k8s.io/size"
_HOPELESS = frozenset(
    {"ImagePullBackOff", "ErrImagePull", "InvalidImageName", "CreateContainerConfigError"}
)
_MANY_RESTARTS = 3
_ENDED = frozenset({"Succeeded", "Failed"})


@dataclass(frozen=True, slots=True, kw_only=True)
class Workload:
    """An object that is scaled: it wants *replicas*, as of *version*."""

    name: str
    kind: Kind
    role: Role
    replicas: int
    version: str
    gpus: int | None = None
    """GPUs of one replica by its pod template; None where that cannot be told."""
    is_labelled: bool = True
    """Whether its pods will carry the labels that they are found by."""

    def __str__(self) -> str:
        """Return its plural and name."""
        return f"{self.kind.plural}/{self.name}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Member:
    """A replica that exists: a pod, or all pods of a group."""

    name: str
    pods: tuple[str, ...]
    ordinal: int
    is_ready: bool
    is_leaving: bool
    """Deleted, and finishing."""
    drains_since: float | None = None
    """When it was told to drain, in seconds of the epoch; None if it was not."""
    unplaced: str | None = None
    """Why no node takes it; None if one did or nobody tried."""
    failing: str | None = None
    """Why it does not get ready on its node; None while it may yet."""
    gpus: int = 0
    drain_url: str | None = None
    metrics_url: str | None = None

    @property
    def trouble(self) -> str | None:
        """What keeps it from getting ready; None while it may yet."""
        return self.unplaced or self.failing

    @property
    def leaves(self) -> bool:
        """Whether it only finishes what it serves."""
        return self.is_leaving or self.drains_since is not None

    def as_replica(self, in_flight: Mapping[str, int | None]) -> Replica:
        """Return it as the choice of a victim sees it."""
        return Replica(name=self.name, is_ready=self.is_ready, in_flight=in_flight.get(self.name))


def read_role(item: Json) -> Role | None:
    """Return the role in the labels of *item*; None without one that is known."""
    label = (item["metadata"].get("labels") or {}).get(ROLE)
    return Role(label) if label in set(Role) else None


def read_workload(item: Json, kind: Kind) -> Workload | None:
    """Return the workload in *item*; None if its labels name no role."""
    role = read_role(item)
    if role is None:
        return None
    spec, templates = item.get("spec") or {}, _templates(item, kind)
    labels = [(t.get("metadata") or {}).get("labels") or {} for t, _ in templates]
    return Workload(
        name=item["metadata"]["name"],
        kind=kind,
        role=role,
        replicas=int(1 if spec.get("replicas") is None else spec["replicas"]),
        version=item["metadata"]["resourceVersion"],
        gpus=sum(_gpus(t.get("spec") or {}) * n for t, n in templates) if templates else None,
        is_labelled=all(one.get(ROLE) == role and DEPLOYMENT in one for one in labels),
    )


def read_members(pods: Iterable[Json]) -> Mapping[Role, list[Member]]:
    """Return the replicas that *pods* make up, by role. Pods that nothing controls are nobody's."""
    groups: dict[tuple[Role, str], list[Json]] = defaultdict(list)
    for pod in pods:
        role, meta = read_role(pod), pod["metadata"]
        ended = (pod.get("status") or {}).get("phase") in _ENDED
        if role is not None and meta.get("ownerReferences") and not ended:
            groups[role, _group(meta)].append(pod)
    found: dict[Role, list[Member]] = defaultdict(list)
    for (role, _), its in groups.items():
        found[role].append(_member(sorted(its, key=lambda pod: str(pod["metadata"]["name"]))))
    return found


def _group(meta: Json) -> str:
    index = (meta.get("labels") or {}).get(_GROUP_INDEX)
    return f"group {index}" if index is not None else str(meta["name"])


def _member(pods: list[Json]) -> Member:
    meta = pods[0]["metadata"]  # a group's leader: its name is the others' without their number
    notes, labels = meta.get("annotations") or {}, meta.get("labels") or {}
    size = int(notes.get(_GROUP_SIZE, len(pods))) if _GROUP_INDEX in labels else 1
    since = notes.get(DRAINING)
    return Member(
        name=meta["name"],
        pods=tuple(pod["metadata"]["name"] for pod in pods),
        ordinal=_ordinal(str(labels.get(_GROUP_INDEX, meta["name"]))),
        is_ready=len(pods) >= size and all(_condition(p, "Ready") == "True" for p in pods),
        is_leaving=any(pod["metadata"].get("deletionTimestamp") for pod in pods),
        drains_since=float(since) if since else None,
        unplaced=next(filter(None, map(_unplaced, pods)), None),
        failing=next(filter(None, map(_failing, pods)), None),
        gpus=sum(_gpus(pod.get("spec") or {}) for pod in pods),
        drain_url=_url(pods[0], DRAIN_URL),
        metrics_url=_url(pods[0], METRICS_URL),
    )


def _url(pod: Json, annotation: str) -> str | None:
    text = (pod["metadata"].get("annotations") or {}).get(annotation)
    address = (pod.get("status") or {}).get("podIP")
    if not text or not text.startswith(":"):
        return text or None
    host = f"[{address}]" if address and ":" in address else address
    return f"http://{host}{text}" if address else None


def _unplaced(pod: Json) -> str | None:
    if (pod.get("spec") or {}).get("nodeName"):
        return None
    for one in (pod.get("status") or {}).get("conditions") or ():
        if one["type"] == "PodScheduled" and one.get("reason") == "Unschedulable":
            return str(one.get("message") or "no node takes it")
    return None


def _failing(pod: Json) -> str | None:
    for one in (pod.get("status") or {}).get("containerStatuses") or ():
        waiting = (one.get("state") or {}).get("waiting") or {}
        if not one.get("ready") and waiting.get("reason") in _HOPELESS:
            return f"{waiting['reason']}: {waiting.get('message', one.get('image', ''))}"
        if not one.get("ready") and int(one.get("restartCount") or 0) >= _MANY_RESTARTS:
            return f"container {one['name']} was restarted {one['restartCount']} times"
    return None


def _condition(pod: Json, kind: str) -> str | None:
    conditions = (pod.get("status") or {}).get("conditions") or ()
    return next((str(one["status"]) for one in conditions if one["type"] == kind), None)


def _ordinal(name: str) -> int:
    last = name.rpartition("-")[2]
    return int(last) if last.isdigit() else 0


def _templates(item: Json, kind: Kind) -> list[tuple[Json, int]]:
    """Return the pod templates of *item* and how many pods of each make up a replica."""
    spec = item.get("spec") or {}
    if kind.group == LEADER_WORKER_SETS.group and kind.plural == LEADER_WORKER_SETS.plural:
        group = spec.get("leaderWorkerTemplate") or {}
        worker, size = group.get("workerTemplate") or {}, int(group.get("size", 1))
        return [(group.get("leaderTemplate") or worker, 1), (worker, size - 1)]
    return [(spec["template"], 1)] if isinstance(spec.get("template"), dict) else []


def _gpus(spec: Json) -> int:
    return sum(_container_gpus(one) for one in spec.get("containers") or ())


def _container_gpus(container: Json) -> int:
    resources = container.get("resources") or {}
    asked = (resources.get("limits") or {}).get(GPU, (resources.get("requests") or {}).get(GPU, 0))
    return int(asked)
