"""The life of `planner run`: connect, say what it will do, turn the loop, and leave."""

import asyncio
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import replace

from prometheus_client import CollectorRegistry

from connectors.circus.spec import DeploymentSpec
from planner.cli.control.cold_start import MeasuredColdStart
from planner.cli.control.journal import journal_path
from planner.cli.control.target import Target, connected
from planner.cli.logs import tell_decisions
from planner.cli.output import notice
from planner.cli.wiring import check, clocks, policy_for
from planner.config import Settings
from planner.config.settings import ConnectorKind
from planner.core.sla import Sla
from planner.core.state import PolicyState
from planner.core.units import format_duration
from planner.errors import ConfigError, MetricsUnavailable
from planner.journal import Journal, Run
from planner.loop import Clocks, ControlLoop, Policy, Surroundings
from planner.metrics import LoopMetrics
from runtime.http.exposition import serve_metrics

_ONCE_SECONDS = 2.0
_HUNG_SECONDS = 30.0


async def keep(
    settings: Settings, spec: DeploymentSpec | None, *, once: bool, stop: asyncio.Event
) -> int:
    """Run the control loop until *stop*, or for a single turn; return the exit code."""
    check(settings)
    tell_decisions()
    time = clocks()
    async with connected(settings, spec, clock=time.steady) as target:
        policy = policy_for(settings, target.roles)
        notice(_introduction(settings, policy))
        _warn_of_other_sla(policy, spec)
        with Journal.open(journal_path(settings)) as journal:
            state = _continued(journal)
            around = _surroundings(
                settings, policy, target, journal=journal, time=time, state=state
            )
            loop = ControlLoop(policy, around, state=state)
            async with _metrics_page(settings, around.metrics, loop):
                window = min(settings.interval, _ONCE_SECONDS)
                await (loop.once(window=window) if once else loop.run(stop))
        notice(await _farewell(target))
    return 0


def _continued(journal: Journal) -> PolicyState:
    """Return where the last run ended, or a blank."""
    state = journal.state()
    if state is None and journal.latest() is not None:
        notice(f"{journal.path} was written by another version: what it learned is learned anew")
    return state or PolicyState()


def _introduction(settings: Settings, policy: Policy) -> str:
    roles = " and ".join(policy.config.roles)
    every = format_duration(settings.interval)
    if settings.observe:
        return (
            f"planner OBSERVES {_named(settings)}: it records every {every} how many replicas "
            f"of {roles} would keep {settings.sla}, and changes nothing"
        )
    return (
        f"planner ACTS on {_named(settings)}: every {every} it scales {roles} "
        f"to keep {settings.sla}"
    )


def _named(settings: Settings) -> str:
    count = sum(map(len, settings.servers.values()))
    if settings.connector is ConnectorKind.KUBERNETES:
        return f"deployment {settings.deployment} on Kubernetes"
    if settings.fleet is not None:
        return f"the fleet of {settings.fleet}"
    if not count:
        return settings.namespace
    return "1 server" if count == 1 else f"{count} servers"


def _warn_of_other_sla(policy: Policy, spec: DeploymentSpec | None) -> None:
    """Say so when the frontend counts attainment against another SLA than this planner keeps."""
    if spec is not None and spec.sla is not None and Sla.parse(spec.sla) != policy.config.sla:
        notice(f"the frontend judges requests by {spec.sla}: attainment is counted against that")


def _surroundings(
    settings: Settings,
    policy: Policy,
    target: Target,
    *,
    journal: Journal,
    time: Clocks,
    state: PolicyState,
) -> Surroundings:
    metrics = LoopMetrics(CollectorRegistry())
    metrics.began(acts=not settings.observe)

    def begin(policy: Policy, state: PolicyState) -> int:
        return journal.begin(_run(settings, policy, state=state, started=time.wall()))

    around = Surroundings(
        source=target.source,
        connector=target.connector,
        journal=journal,
        run=begin(policy, state),
        metrics=metrics,
        clocks=time,
    )
    if settings.cold_start is not None:
        return around
    return replace(around, revise=MeasuredColdStart(measured=target.cold_start, begin=begin))


def _run(settings: Settings, policy: Policy, *, state: PolicyState, started: float) -> Run:
    return Run(
        started=started,
        mode="observes" if settings.observe else "acts",
        sla=str(settings.sla),
        config={
            "policy": policy.config,
            "profile": policy.profile.to_dict() if policy.profile else None,
        },
        initial_state=state,
    )


@asynccontextmanager
async def _metrics_page(
    settings: Settings, metrics: LoopMetrics, loop: ControlLoop
) -> AsyncIterator[None]:
    """Serve /metrics and /health for as long as the block runs, if a port is set.

    The loop is well while its turns end.
    """
    if settings.metrics_port is None:
        yield
        return
    try:
        server = await serve_metrics(
            metrics.registry,
            lambda: _health(loop, patience=_HUNG_SECONDS + 3 * settings.interval),
            host=settings.metrics_host,
            port=settings.metrics_port,
        )
    except OSError as error:
        raise ConfigError(
            f"--metrics-port {settings.metrics_port} on {settings.metrics_host}: {error.strerror}",
            hint="--metrics-port 0 takes a free one",
        ) from error
    notice(f"metrics at http://{settings.metrics_host}:{server.port}/metrics")
    try:
        yield
    finally:
        await server.close()


def _health(loop: ControlLoop, *, patience: float) -> tuple[bool, Mapping[str, object]]:
    idle = loop.idle_seconds
    return idle <= patience, {"seconds_since_turn": round(idle, 1)}


async def _farewell(target: Target) -> str:
    try:
        fleet = await target.connector.fleet()
    except MetricsUnavailable:
        return "planner ended; replicas stay as they are"
    counts = ", ".join(f"{role} {replicas.current}" for role, replicas in fleet.items())
    return f"planner ended; replicas stay as they are: {counts}"
