"""A deployment on Kubernetes, connected: its pods, what moves them, and who may."""

import os
import secrets
import socket
from collections.abc import AsyncIterator, Callable, Collection, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass

from connectors.kubernetes.api import open_api
from connectors.kubernetes.cluster import DEFAULT_KINDS, Cluster
from connectors.kubernetes.connector import KubernetesConnector, Manner
from connectors.kubernetes.departure import Drain
from connectors.kubernetes.kinds import Kind
from connectors.kubernetes.lease import KubernetesLease
from connectors.kubernetes.registry import PodRegistry
from connectors.observe import ObserveConnector
from planner.config import Settings
from planner.core.role import Role
from planner.errors import ConfigError
from planner.ports import Connector

_NAMESPACE = "default"
_NOTICE_SECONDS = 5.0


@dataclass(frozen=True, slots=True, kw_only=True)
class ClusterPlace:
    """A deployment in a cluster that is being watched."""

    settings: Settings
    deployment: str
    cluster: Cluster
    registry: PodRegistry
    roles: Collection[Role]
    clock: Callable[[], float]

    @asynccontextmanager
    async def connector(
        self, in_flight: Callable[[], Mapping[str, int]]
    ) -> AsyncIterator[Connector]:
        """Yield what moves its replicas while this planner holds its lease, or only observes."""
        async with AsyncExitStack() as stack:
            may_act: Callable[[], bool] = _never
            if not self.settings.observe:
                lease = self._lease()
                await lease.start()
                stack.push_async_callback(lease.close)
                may_act = lease.holds
            kubernetes = KubernetesConnector(
                self.cluster,
                self.deployment,
                manner=_manner(self.settings),
                in_flight=in_flight,
                may_act=may_act,
                clock=self.clock,
            )
            stack.push_async_callback(kubernetes.close)
            yield ObserveConnector(kubernetes) if self.settings.observe else kubernetes

    def _lease(self) -> KubernetesLease:
        identity = f"{socket.gethostname()}-{os.getpid()}-{secrets.token_hex(3)}"
        path = (self.cluster.namespace, f"planner-{self.deployment}")
        return KubernetesLease(self.cluster.api, path, identity=identity, clock=self.clock)


@asynccontextmanager
async def opened(settings: Settings, *, clock: Callable[[], float]) -> AsyncIterator[ClusterPlace]:
    """Yield the deployment that *settings* name.

    Raises ConfigError where there is none, and PlannerError when the cluster does not answer.
    """
    if settings.deployment is None:
        raise ConfigError(
            "--connector kubernetes: no deployment is named",
            hint="--deployment NAME: the label planner/deployment of what is to be scaled",
        )
    kinds = (*DEFAULT_KINDS, *(Kind.parse(text) for text in settings.kube_kinds))
    async with AsyncExitStack() as stack:
        api, own = await open_api(context=settings.kube_context)
        stack.push_async_callback(api.close)
        namespace = settings.kube_namespace or own or _NAMESPACE
        cluster = Cluster(api, namespace, deployment=settings.deployment, kinds=kinds, clock=clock)
        stack.push_async_callback(cluster.close)
        await cluster.start()
        roles = {one.role for one in cluster.workloads(settings.deployment)}
        if not roles:
            raise ConfigError(
                f"namespace {namespace}: nothing has the labels"
                f" planner/deployment={settings.deployment} and planner/role",
                hint="kubectl label deployment/NAME planner/deployment=... planner/role=decode",
            )
        yield ClusterPlace(
            settings=settings,
            deployment=settings.deployment,
            cluster=cluster,
            registry=PodRegistry(cluster, settings.deployment, frontends=settings.frontends),
            roles=roles,
            clock=clock,
        )


def _manner(settings: Settings) -> Manner:
    drain = None
    if settings.drain is not None:
        drain = Drain(seconds=settings.drain, notice_seconds=_NOTICE_SECONDS)
    return Manner(max_gpus=settings.max_gpus, pending_seconds=settings.pending, drain=drain)


def _never() -> bool:
    return False
