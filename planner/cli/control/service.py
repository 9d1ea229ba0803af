"""The life of `planner run`: connect, say what it will do, turn the loop, and leave."""

import asyncio

from connectors.circus.spec import DeploymentSpec
from planner.cli.control.journal import journal_path
from planner.cli.control.looping import looping
from planner.cli.control.own_page import labelled, own_page
from planner.cli.control.target import Target, connected
from planner.cli.logs import tell_decisions
from planner.cli.output import notice
from planner.cli.wiring import check, clocks, policy_for
from planner.config import Settings
from planner.config.settings import ConnectorKind
from planner.core.sla import Sla
from planner.core.units import format_duration
from planner.errors import MetricsUnavailable
from planner.journal import Journal
from planner.loop import Policy


async def keep(
    settings: Settings, spec: DeploymentSpec | None, *, once: bool, stop: asyncio.Event
) -> int:
    """Run the control loop until *stop*, or for a single turn; return the exit code."""
    if settings.deployments is not None and settings.deployment is None:
        from planner.cli.control.many import keep_many

        return await keep_many(settings, once=once, stop=stop)
    check(settings)
    tell_decisions()
    time = clocks()
    async with connected(settings, spec, clock=time.steady) as target:
        policy = policy_for(settings, target.roles)
        notice(_introduction(settings, policy))
        _warn_of_other_sla(policy, spec)
        with Journal.open(journal_path(settings)) as journal:
            kept = looping(settings, policy, target, journal=journal, time=time)
            series = labelled(lambda: [(kept.metrics.registry, kept.labels)])
            async with own_page(settings, series, kept.health, kept.scraped):
                await (kept.once() if once else kept.loop.run(stop))
        notice(await _farewell(target))
    return 0


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


async def _farewell(target: Target) -> str:
    try:
        fleet = await target.connector.fleet()
    except MetricsUnavailable:
        return "planner ended; replicas stay as they are"
    counts = ", ".join(f"{role} {replicas.current}" for role, replicas in fleet.items())
    return f"planner ended; replicas stay as they are: {counts}"
