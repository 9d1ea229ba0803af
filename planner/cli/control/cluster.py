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
from planner.cli.control.handover import Handover
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
    lead: "Lead | None" = None
    """The lease that says who acts; one of the deployment's own if None."""

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
    async def led(self) -> AsyncIterator["Lead"]:
        """Yield what says whether this planner may act: never, where it only observes."""
        if self.settings.observe:
            yield Lead()
        elif self.lead is not None:
            yield self.lead
        else:
            name = f"planner-{self.deployment}"
            async with leading(self.cluster, name, clock=self.clock) as lead:
                yield lead

    @asynccontextmanager
    async def connector(
        self, lead: "Lead", in_flight: Callable[[], Mapping[str, int]]
    ) -> AsyncIterator[Connector]:
        """Yield what moves its replicas while *lead* says so, or only observes."""
        kubernetes = KubernetesConnector(
            self.cluster,
            self.deployment,
            manner=_manner(self.settings),
            in_flight=in_flight,
            may_act=lead.may_act,
            clock=self.clock,
        )
        try:
            yield ObserveConnector(kubernetes) if self.settings.observe else kubernetes
        finally:
            await kubernetes.close()


def _never() -> bool:
    return False


@dataclass(frozen=True, slots=True, kw_only=True)
class Lead:
    """Whether this planner may act just now, and what it leaves to the one after it."""

    may_act: Callable[[], bool] = _never
    handover: Handover | None = None


@asynccontextmanager
async def leading(
    cluster: Cluster, name: str, *, clock: Callable[[], float]
) -> AsyncIterator[Lead]:
    """Yield the lead of whoever holds the Lease *name*: it is sought, and given back."""
    identity = f"{socket.gethostname()}-{os.getpid()}-{secrets.token_hex(3)}"
    handover = Handover(lambda: lease.annotations)
    lease = KubernetesLease(
        cluster.api,
        (cluster.namespace, name),
        identity=identity,
        clock=clock,
        annotate=handover.annotated,
    )
    await lease.start()
    try:
        yield Lead(may_act=lease.holds, handover=handover)
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
