"""One namespace of a cluster as watches know it: workloads, pods, autoscalers, quotas.

Several deployments can share it: looking at one of them asks nothing of the API server.
"""

import asyncio
import logging
import re
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass

from connectors.kubernetes.api import Api, ApiFault, ApiRefused, Json
from connectors.kubernetes.kinds import (
    AUTOSCALERS,
    DEPLOYMENTS,
    PODS,
    QUOTAS,
    STATEFUL_SETS,
    Kind,
)
from connectors.kubernetes.objects import DEPLOYMENT, GPU, Workload, read_workload
from connectors.kubernetes.watched import Watched
from planner.errors import ConfigError, MetricsUnavailable

DEFAULT_KINDS = (DEPLOYMENTS, STATEFUL_SETS)
_COST_SINCE = (1, 22)
_QUOTA_KEY = f"requests.{GPU}"

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class Quota:
    """GPUs that a namespace may use, and how many of them its pods do."""

    gpus: int
    used: int


class Cluster:
    """What *namespace* holds of *deployment*, or of every deployment that is labelled as one.

    Its figures may be *patience* seconds old while the API server is away. *clock* returns seconds.
    """

    def __init__(
        self,
        api: Api,
        namespace: str,
        *,
        deployment: str | None = None,
        kinds: Sequence[Kind] = DEFAULT_KINDS,
        clock: Callable[[], float],
        patience: float = 10.0,
    ) -> None:
        self.api = api
        self.namespace = namespace
        self.honours_deletion_cost = True
        """Whether the replica that is to leave can be chosen (Kubernetes 1.22)."""
        self._patience = patience
        selector = DEPLOYMENT if deployment is None else f"{DEPLOYMENT}={deployment}"

        def watched(kind: Kind, labels: str = "") -> Watched:
            return Watched(api, kind.path(namespace), selector=labels, clock=clock)

        self._workloads = {kind: watched(kind, selector) for kind in kinds}
        self._pods = watched(PODS, selector)
        self._autoscalers = watched(AUTOSCALERS)
        self._quotas = watched(QUOTAS)

    async def start(self) -> None:
        """Begin to watch. Raises ConfigError for what may not be read, MetricsUnavailable else."""
        await asyncio.gather(*(one.start() for one in self._all))
        for one in self._needed:
            if isinstance(one.fault, ApiRefused):
                hint = "kubectl apply -k deploy/kubernetes/base grants what planner needs"
                if one.fault.is_missing:
                    hint = "kubectl api-resources lists the kinds that there are"
                raise ConfigError(f"namespace {self.namespace}: {one.fault}", hint=hint)
        self.check()
        self.honours_deletion_cost = await self._version() >= _COST_SINCE
        self._tell_unread(self._autoscalers, "whether an autoscaler has the same target")
        self._tell_unread(self._quotas, "how many GPUs the namespace may use")

    async def close(self) -> None:
        """Stop watching; the API is its owner's."""
        await asyncio.gather(*(one.close() for one in self._all))

    def check(self) -> None:
        """Raise MetricsUnavailable when what is known is too old to act on."""
        for one in self._needed:
            if one.lists and one.age_seconds <= self._patience:
                continue
            since = f" since {one.age_seconds:.0f}s" if one.lists else ""
            raise MetricsUnavailable(
                f"nothing is known of namespace {self.namespace}{since}: {one.fault}",
                hint="kubectl get --raw /readyz",
            )

    def deployments(self) -> Collection[str]:
        """Return the name of every deployment that some workload is labelled with."""
        return {name for watched in self._workloads.values() for name in watched.deployments}

    def workloads(self, deployment: str) -> Sequence[Workload]:
        """Return what is scaled in *deployment*: everything with a role."""
        found = [
            read_workload(item, kind)
            for kind, watched in self._workloads.items()
            for item in watched.of(deployment)
        ]
        return [one for one in found if one is not None]

    def pods(self, deployment: str) -> Sequence[Json]:
        """Return the pods of *deployment*."""
        return list(self._pods.of(deployment))

    def autoscaler(self, workload: Workload) -> str | None:
        """Return the name of an autoscaler that scales *workload*; None if none is known."""
        for name, item in self._autoscalers.objects.items():
            target = (item.get("spec") or {}).get("scaleTargetRef") or {}
            group = str(target.get("apiVersion", "")).rpartition("/")[0]
            plural = f"{str(target.get('kind', '')).lower()}s"
            its = (group, plural, target.get("name"))
            if its == (workload.kind.group, workload.kind.plural, workload.name):
                return name
        return None

    @property
    def quota(self) -> Quota | None:
        """The quota of GPUs with the least left; None where none limits them."""
        found = [_quota(item) for item in self._quotas.objects.values()]
        limits = [one for one in found if one is not None]
        return min(limits, key=lambda one: one.gpus - one.used, default=None)

    def amend(self, kind: Kind, item: Json) -> None:
        """Take what a write of a pod or workload answered for known."""
        (self._pods if kind == PODS else self._workloads[kind]).amend(item)

    def raw(self, workload: Workload) -> Json | None:
        """Return the object that *workload* was read from; None if it is gone."""
        return self._workloads[workload.kind].objects.get(workload.name)

    @property
    def lists(self) -> int:
        """How often a kind was listed as a whole."""
        return sum(one.lists for one in self._all)

    @property
    def _needed(self) -> Sequence[Watched]:
        return [*self._workloads.values(), self._pods]

    @property
    def _all(self) -> Sequence[Watched]:
        return [*self._needed, self._autoscalers, self._quotas]

    async def _version(self) -> tuple[int, int]:
        """Return the server's version; the first that knows all that is used, if it tells none."""
        try:
            told = await self.api.get("/version")
            return int(told["major"]), int(re.sub(r"\D.*", "", told["minor"]))
        except (ApiFault, KeyError, ValueError):
            return _COST_SINCE

    def _tell_unread(self, watched: Watched, what: str) -> None:
        if watched.fault is not None:
            log.warning("cannot tell %s: namespace=%s", what, self.namespace)


def _quota(item: Json) -> Quota | None:
    hard = (item.get("spec") or {}).get("hard") or {}
    used = (item.get("status") or {}).get("used") or {}
    if _QUOTA_KEY not in hard:
        return None
    return Quota(gpus=int(hard[_QUOTA_KEY]), used=int(used.get(_QUOTA_KEY, 0)))
