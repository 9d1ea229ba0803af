"""The deployment that a command works on, connected: what sees it and what moves it."""

import time
from collections.abc import AsyncIterator, Callable, Collection, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING

from connectors.circus.spec import DeploymentSpec
from connectors.observe import ObserveConnector
from planner.cli.control.handover import Handover
from planner.cli.control.leadership import LeaseholdingConnector
from planner.cli.control.measures import patience, processes, server_pages
from planner.cli.control.registered import RegisteredFleet
from planner.cli.control.registry import BusyRegistry, StoreRegistry
from planner.cli.control.served import ServedFleet
from planner.cli.paths import state_directory
from planner.config import Settings
from planner.config.fleet import FleetDescription, read_fleet
from planner.config.settings import ConnectorKind
from planner.core.role import Role
from planner.errors import ConfigError, MetricsUnavailable, PlannerError
from planner.ports import Connector, MetricsSource, Registry
from planner.sources.scrape import ScrapeSource
from planner.sources.scraped import ScrapedPage
from planner.sources.server_pages import Pages
from planner.sources.servers import ListedServers, ServersSource
from runtime.discovery.open import open_store
from runtime.errors import RuntimeFault
from runtime.ports import Store

if TYPE_CHECKING:
    from planner.cli.control.cluster import ClusterPlace


def _unknown() -> None:
    return None


def _nothing() -> Sequence[ScrapedPage]:
    return ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Target:
    """A connected deployment. Its *roles* are those that it was started with."""

    source: MetricsSource
    connector: Connector
    roles: Collection[Role]
    cold_start: Callable[[], float | None] = _unknown
    """Returns the seconds that start-ups were measured to take; None where nobody tells."""
    scraped: Callable[[], Sequence[ScrapedPage]] = _nothing
    """Returns the metrics pages that its source reads, as far as they are known."""
    handover: Handover | None = None
    """What another planner has left, and this one leaves; None where nobody takes over so."""


@asynccontextmanager
async def connected(
    settings: Settings,
    spec: DeploymentSpec | None,
    *,
    clock: Callable[[], float] = time.monotonic,
    seeks_lead: bool = True,
) -> AsyncIterator[Target]:
    """Yield the deployment *spec*, or the one that *settings* name, by its store or its servers.

    With `settings.observe` its connector writes nothing; who will not act seeks no lead among
    several planners either. Raises ConfigError when there is no deployment to be found, or none
    that can be acted on, and PlannerError when it does not answer.
    """
    if settings.connector is ConnectorKind.KUBERNETES:
        observe = settings.observe or not seeks_lead
        found = _cluster(settings.model_copy(update={"observe": observe}), clock)
    elif settings.servers:
        found = _servers(settings, clock)
    elif settings.fleet is not None:
        found = _fleet(settings, read_fleet(settings.fleet), clock)
    else:
        found = _registered(settings, spec)
    async with found as target:
        yield target


@asynccontextmanager
async def _servers(settings: Settings, clock: Callable[[], float]) -> AsyncIterator[Target]:
    check_alone(settings, "--servers")
    if settings.fleet is not None:
        raise ConfigError("--servers and --fleet: these are two deployments", hint="name one")
    if not settings.observe:
        raise ConfigError(
            "--servers: planner did not start these servers, so they can only be observed",
            hint="planner run --observe",
        )
    source = _server_source(
        settings, ListedServers(settings.servers), server_pages(settings), clock=clock
    )
    try:
        connector = ObserveConnector(ServedFleet(source))
        yield Target(
            source=source,
            connector=connector,
            roles=settings.servers.keys(),
            scraped=lambda: source.scraped,
        )
    finally:
        await source.close()


@asynccontextmanager
async def _fleet(
    settings: Settings, description: FleetDescription, clock: Callable[[], float]
) -> AsyncIterator[Target]:
    from connectors.circus.connector import CircusConnector
    from connectors.circus.drain import OnceIdle
    from connectors.circus.probes import ProbedRegistry
    from planner.cli.control.fleet import READY_FILE, sole_planner, standing

    check_alone(settings, "--fleet")
    state = (settings.state_dir or state_directory()).resolve()
    acts = not settings.observe
    spec = await standing(description, state, acts=acts)
    settings = settings.model_copy(update={"engine": settings.engine or description.engine})
    path = state / READY_FILE if acts else None
    async with AsyncExitStack() as stack:
        if acts:
            stack.enter_context(sole_planner(state))
        registry = ProbedRegistry(spec, path=path, timeout=settings.metrics_timeout)
        stack.callback(registry.close)
        source = _server_source(settings, registry, server_pages(settings), clock=clock)
        stack.push_async_callback(source.close)
        busy = BusyRegistry(registry, lambda: source.in_flight)
        departure = OnceIdle(
            told=registry.instances,
            inside=lambda name: source.in_flight.get(name),
            notice_seconds=description.notice,
            drain_seconds=description.drain,
        )
        connector: Connector
        if acts:
            connector = CircusConnector(spec, busy, departure=departure)
        else:  # who only looks sees nobody out either
            connector = ObserveConnector(CircusConnector(spec, busy))
        stack.push_async_callback(connector.close)
        yield Target(
            source=source,
            connector=connector,
            roles=spec.roles.keys(),
            scraped=lambda: source.scraped,
        )


@asynccontextmanager
async def _cluster(settings: Settings, clock: Callable[[], float]) -> AsyncIterator[Target]:
    from planner.cli.control.cluster import opened

    check_alone(settings, "--connector kubernetes")
    async with opened(settings, clock=clock) as place, placed(place) as target:
        yield target


@asynccontextmanager
async def placed(place: "ClusterPlace") -> AsyncIterator[Target]:
    """Yield the deployment at *place*, connected to its pods or frontends."""
    settings = place.settings
    registry: Registry = place.registry
    namespace = place.cluster.namespace
    if settings.servers:
        registry = ListedServers(settings.servers)
    source: ScrapeSource | ServersSource
    if settings.frontends:
        source = ScrapeSource(registry, processes(settings, kube_namespace=namespace))
    else:
        pages = server_pages(settings, kube_namespace=namespace)
        source = _server_source(settings, registry, pages, clock=place.clock)
    try:
        async with (
            place.led() as lead,
            place.connector(lead, lambda: source.in_flight) as connector,
        ):
            yield Target(
                source=source,
                connector=connector,
                roles=place.roles,
                scraped=lambda: source.scraped,
                handover=lead.handover,
            )
    finally:
        await source.close()


def check_alone(settings: Settings, flag: str) -> None:
    """Raise ConfigError where *flag* names a deployment and a store names another one."""
    if settings.store is not None:
        raise ConfigError(
            f"{flag} and --store {settings.store}: these are two deployments",
            hint="name one of them",
        )


def _server_source(
    settings: Settings, registry: Registry, pages: Pages, *, clock: Callable[[], float]
) -> ServersSource:
    return ServersSource(
        registry, pages, clock=clock, patience=patience(settings), sla=settings.sla
    )


@asynccontextmanager
async def _registered(settings: Settings, spec: DeploymentSpec | None) -> AsyncIterator[Target]:
    if settings.store is None:
        raise ConfigError("no deployment is known here", hint="planner serve starts one")
    if spec is None and not settings.observe:
        raise ConfigError(
            f"--store {settings.store}: this deployment was not started here, so it can only be "
            "observed",
            hint="planner run --observe",
        )
    async with AsyncExitStack() as stack:
        store = await _open(settings.store)
        stack.push_async_callback(store.close)
        registry = StoreRegistry(store, settings.namespace)
        stack.push_async_callback(registry.close)
        source = ScrapeSource(registry, processes(settings))
        stack.push_async_callback(source.close)
        busy = BusyRegistry(registry, lambda: source.in_flight)
        connector = _connector(settings, spec, busy, store)
        stack.push_async_callback(connector.close)
        roles = spec.roles.keys() if spec else await _registered_roles(connector, settings)
        yield Target(
            source=source,
            connector=connector,
            roles=roles,
            cold_start=lambda: source.cold_start_seconds,
            scraped=lambda: source.scraped,
        )


async def _open(url: str) -> Store:
    try:
        return await open_store(url)
    except RuntimeFault as error:
        raise PlannerError(str(error), hint="planner status") from error


def _connector(
    settings: Settings, spec: DeploymentSpec | None, registry: Registry, store: Store
) -> Connector:
    if spec is None:
        return ObserveConnector(RegisteredFleet(registry))
    from connectors.circus.connector import CircusConnector

    circus = CircusConnector(spec, registry)
    if settings.observe:
        return ObserveConnector(circus)
    return LeaseholdingConnector(circus, store, settings.namespace)


async def _registered_roles(connector: Connector, settings: Settings) -> Collection[Role]:
    roles = (await connector.fleet()).keys()
    if not roles:
        raise MetricsUnavailable(
            f"no worker is registered in namespace {settings.namespace} of {settings.store}",
            hint="--namespace names another one",
        )
    return roles
