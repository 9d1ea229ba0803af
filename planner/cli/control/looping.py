"""A control loop for a connected deployment, on its journal, and what it says of itself."""

import logging
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace

from prometheus_client import CollectorRegistry

from planner.cli.control.cold_start import MeasuredColdStart
from planner.cli.control.target import Target
from planner.cli.output import notice
from planner.config import Settings
from planner.core.state import PolicyState
from planner.journal import Journal, Run
from planner.loop import Clocks, ControlLoop, Policy, Surroundings
from planner.metrics import LoopMetrics
from planner.sources.scraped import ScrapedPage

log = logging.getLogger(__name__)

_ONCE_SECONDS = 2.0
_HUNG_SECONDS = 30.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Looping:
    """The loop of a deployment that is kept as its settings say."""

    settings: Settings
    loop: ControlLoop
    metrics: LoopMetrics
    scraped: Callable[[], Sequence[ScrapedPage]]
    """Returns the metrics pages that it goes by."""

    @property
    def labels(self) -> Mapping[str, str]:
        """By what its series are told from those of other planners: what was named of it."""
        named = {"deployment": self.settings.deployment, "model": self.settings.model}
        return {label: name for label, name in named.items() if name is not None}

    async def once(self) -> None:
        """Take a single turn."""
        await self.loop.once(window=min(self.settings.interval, _ONCE_SECONDS))

    def health(self) -> tuple[bool, Mapping[str, object]]:
        """Return whether its turns end, and since when none did."""
        idle = self.loop.idle_seconds
        patience = _HUNG_SECONDS + 3 * self.settings.interval
        return idle <= patience, {"seconds_since_turn": round(idle, 1)}


def looping(
    settings: Settings, policy: Policy, target: Target, *, journal: Journal, time: Clocks
) -> Looping:
    """Return the loop that goes on where the last one in *journal* ended; it has not begun.

    Where another planner has acted since, and left what it remembered, it goes on from there.
    """
    state = _later(_continued(journal), _left(settings, target))
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
        deployment=settings.deployment if settings.deployments else None,
    )
    if settings.cold_start is None:
        around = replace(around, revise=MeasuredColdStart(measured=target.cold_start, begin=begin))
    loop = ControlLoop(policy, around, state=state)
    if target.handover is not None:
        target.handover.leave(str(settings.deployment), lambda: loop.state)
    return Looping(settings=settings, loop=loop, metrics=metrics, scraped=target.scraped)


def _continued(journal: Journal) -> PolicyState:
    """Return where the last run ended, or a blank."""
    state = journal.state()
    if state is None and journal.latest() is not None:
        notice(f"{journal.path} was written by another version: what it learned is learned anew")
    return state or PolicyState()


def _left(settings: Settings, target: Target) -> PolicyState | None:
    if target.handover is None or settings.deployment is None:
        return None
    return target.handover.found(settings.deployment)


def _later(own: PolicyState, left: PolicyState | None) -> PolicyState:
    """Return *left* if it was written after *own*."""
    if left is None or left.at is None or (own.at is not None and left.at <= own.at):
        return own
    log.info("goes on from what another planner left at=%.0f", left.at)
    return left


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
