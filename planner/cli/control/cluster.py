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
    clock: Callable[[], float]
    may_act: Callable[[], bool] | None = None
    """Whether this planner may act just now; a lease of the deployment's own tells if None."""

    @property
    def roles(self) -> Collection[Role]:
        """What it is made of at present."""
        return {one.role for one in self.cluster.workloads(self.deployment)}

    @property
    def registry(self) -> PodRegistry:
        """Who serves."""
        return PodRegistry(
            self.cluster,
            self.deployment,
            frontends=self.settings.frontends,
            are_asked=self.settings.prometheus is None,
        )

    @asynccontextmanager
    async def connector(
        self, in_flight: Callable[[], Mapping[str, int]]
    ) -> AsyncIterator[Connector]:
        """Yield what moves its replicas while this planner may act, or only observes."""
        async with AsyncExitStack() as stack:
            may_act: Callable[[], bool] = _never
            if self.settings.observe:
                pass
            elif self.may_act is not None:
                may_act = self.may_act
            else:
                name = f"planner-{self.deployment}"
                may_act = await stack.enter_async_context(
                    leading(self.cluster, name, clock=self.clock)
                )
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


@asynccontextmanager
async def leading(
    cluster: Cluster, name: str, *, clock: Callable[[], float]
) -> AsyncIterator[Callable[[], bool]]:
    """Yield whether this planner may act: it seeks the Lease *name*, and gives it back."""
    identity = f"{socket.gethostname()}-{os.getpid()}-{secrets.token_hex(3)}"
    path = (cluster.namespace, name)
    lease = KubernetesLease(cluster.api, path, identity=identity, clock=clock)
    await lease.start()
    try:
        yield lease.holds
    finally:
        await lease.close()


@asynccontextmanager
async def watched(settings: Settings, *, clock: Callable[[], float]) -> AsyncIterator[Cluster]:
    """Yield the namespace that *settings* name: of all that is in it or of one deployment.

    Raises ConfigError where there is none, and PlannerError when the cluster does not answer.
    """
    kinds = (*DEFAULT_KINDS, *(Kind.parse(text) for text in settings.kube_kinds))
    async with AsyncExitStack() as stack:
        api, own = await open_api(context=settings.kube_context)
        stack.push_async_callback(api.close)
        namespace = settings.kube_namespace or own or _NAMESPACE
        cluster = Cluster(api, namespace, deployment=settings.deployment, kinds=kinds, clock=clock)
        stack.push_async_callback(cluster.close)
        await cluster.start()
        yield cluster


@asynccontextmanager
async def opened(settings: Settings, *, clock: Callable[[], float]) -> AsyncIterator[ClusterPlace]:
    """Yield the one deployment that *settings* name; raises as `watched`, and where it is not."""
    if settings.deployment is None:
        raise ConfigError(
            "--connector kubernetes: no deployment is named",
            hint="--deployment NAME: the label planner/deployment of what is to be scaled",
        )
    async with watched(settings, clock=clock) as cluster:
        place = ClusterPlace(
            settings=settings, deployment=settings.deployment, cluster=cluster, clock=clock
        )
        if not place.roles:
            raise ConfigError(
                f"namespace {cluster.namespace}: nothing has the labels"
                f" planner/deployment={settings.deployment} and planner/role",
                hint="kubectl label deployment/NAME planner/deployment=... planner/role=decode",
            )
        yield place


def _manner(settings: Settings) -> Manner:
    drain = None
    if settings.drain is not None:
        drain = Drain(seconds=settings.drain, notice_seconds=_NOTICE_SECONDS)
    return Manner(max_gpus=settings.max_gpus, pending_seconds=settings.pending, drain=drain)


def _never() -> bool:
    return False
