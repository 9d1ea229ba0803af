"""What a deployment looks like now, and what others did to it since it was last told."""

import logging
from collections.abc import Mapping
from typing import TypeAlias

from connectors.kubernetes.cluster import Cluster
from connectors.kubernetes.objects import DEPLOYMENT, ROLE, Workload, read_members
from connectors.kubernetes.sight import Sight
from connectors.kubernetes.waiting import Waiting
from planner.core.role import Role
from planner.errors import MetricsUnavailable, ScaleRejected

Sights: TypeAlias = Mapping[Role, Sight]

log = logging.getLogger(__name__)


class Lookout:
    """Puts *deployment* together from what *cluster* knows, without asking the API server."""

    def __init__(self, cluster: Cluster, deployment: str, *, waiting: Waiting) -> None:
        self._cluster = cluster
        self._deployment = deployment
        self._waiting = waiting
        self._told: dict[Role, int] = {}

    def look(self) -> Sights:
        """Return every role's workload and replicas. Raises MetricsUnavailable."""
        self._cluster.check()
        members = read_members(self._cluster.pods(self._deployment))
        found: dict[Role, Sight] = {}
        for workload in self._cluster.workloads(self._deployment):
            _check(workload, found.get(workload.role))
            its = members.get(workload.role, [])
            stuck = self._waiting.stuck(workload, its, self._cluster.raw(workload))
            found[workload.role] = Sight(workload=workload, members=its, stuck=stuck)
        return found

    def tell(self, sights: Sights) -> None:
        """Take the numbers of *sights* for known to whoever decides."""
        for role, sight in sights.items():
            now = sight.workload.replicas
            before = self._told.get(role, now)
            if before != now:
                log.warning("replicas set by others role=%s from=%d to=%d", role, before, now)
            self._told[role] = now

    def wrote(self, role: Role, replicas: int) -> None:
        """Take *replicas* for known: this planner has set them."""
        self._told[role] = replicas

    def check_sole(self, sight: Sight) -> None:
        """Raise ScaleRejected if somebody else moves the replicas in *sight*."""
        workload = sight.workload
        scaler = self._cluster.autoscaler(workload)
        if scaler is not None:
            raise ScaleRejected(
                f"{workload.role}: autoscaler {scaler} scales {workload} too; nothing changed",
                hint=f"kubectl delete hpa {scaler}, or planner run --observe",
            )
        told = self._told.get(workload.role, workload.replicas)
        if told != workload.replicas:
            raise ScaleRejected(
                f"{workload.role}: somebody else set {workload.replicas} replicas where {told}"
                " were; nothing changed"
            )

    def missing(self, sight: Sight) -> str:
        """Return what to say of the replicas of *sight* that are stuck."""
        role, which = sight.workload.role, f"{sight.stuck.total} of {sight.workload.replicas}"
        return f"{role}: {which} replicas do not come: {self._waiting.why(role)}"


def _check(workload: Workload, other: Sight | None) -> None:
    if other is not None:
        raise MetricsUnavailable(
            f"{other.workload} and {workload} are both labelled {ROLE}={workload.role}",
            hint=f"kubectl label {workload} {ROLE}-",
        )
    if not workload.is_labelled:
        raise MetricsUnavailable(
            f"{workload}: its pods do not get the labels {DEPLOYMENT} and {ROLE}",
            hint="put both into spec.template.metadata.labels",
        )
