"""Who serves, as a cluster tells it: its pods, at the addresses that they are annotated with."""

from collections.abc import Sequence

from connectors.kubernetes.cluster import Cluster
from connectors.kubernetes.objects import METRICS_URL, read_members
from planner.errors import MetricsUnavailable
from planner.ports import Instance, InstanceState


class PodRegistry:
    """The ready pods of *deployment*; requests come in through *frontends*, if they are known.

    Pods that *are_asked* for their metrics need an address for it, unless frontends tell enough.
    """

    def __init__(
        self,
        cluster: Cluster,
        deployment: str,
        *,
        frontends: Sequence[str] = (),
        are_asked: bool = True,
    ) -> None:
        self._cluster = cluster
        self._deployment = deployment
        self._frontends = frontends
        self._needs_address = are_asked and not frontends

    async def instances(self) -> Sequence[Instance]:
        """Return the replicas that serve or finish; raises MetricsUnavailable when unknown."""
        self._cluster.check()
        members = read_members(self._cluster.pods(self._deployment))
        ready = [(role, one) for role, its in members.items() for one in its if one.is_ready]
        if ready and self._needs_address and not any(one.metrics_url for _, one in ready):
            raise MetricsUnavailable(
                f"no pod of {self._deployment} tells where its metrics are",
                hint=f"annotate the pod template: {METRICS_URL}: ':8000'",
            )
        return [
            Instance(
                name=one.name,
                role=role,
                state=InstanceState.DRAINING if one.leaves else InstanceState.READY,
                metrics_url=one.metrics_url,
            )
            for role, one in ready
        ]

    async def frontends(self) -> Sequence[str]:
        """Return the base URLs of the frontends that were named."""
        return self._frontends
