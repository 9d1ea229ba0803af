"""Observe, decide, act, record, every interval: the one endless loop of the planner.

The command line builds it from a source, a connector and a journal. All it knows of the world
comes through them and through the two clocks that it is given.
"""

import asyncio
import logging
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from math import ceil

from planner.core.decide import decide
from planner.core.observation import Observation, Replicas
from planner.core.plan import Plan
from planner.core.policy import PolicyConfig
from planner.core.profile import Profile
from planner.core.role import Role
from planner.core.state import PolicyState
from planner.errors import MetricsUnavailable, ScaleRejected
from planner.journal import Entry, Journal
from planner.metrics import REJECTED, LoopMetrics
from planner.ports import Connector, MetricsSource, Outcome

log = logging.getLogger(__name__)

Clock = Callable[[], float]
"""Returns seconds."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Policy:
    """How to decide. The profile is None for a policy that does without one."""

    config: PolicyConfig
    profile: Profile | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Clocks:
    """Two clocks in seconds that are never mixed.

    *steady* never goes back: intervals are taken from it, and decisions remember it. It goes on
    where it was when a planner is started again. *wall* dates journal entries.
    """

    steady: Clock
    wall: Clock


def _keep(_policy: Policy, _state: PolicyState) -> None:
    return None


@dataclass(frozen=True, slots=True, kw_only=True)
class Surroundings:
    """What the loop looks at, moves and writes to. *run* is its run in the journal.

    *deployment* is told in the log where one process has loops for several.
    """

    source: MetricsSource
    connector: Connector
    journal: Journal
    run: int
    metrics: LoopMetrics
    clocks: Clocks
    revise: Callable[[Policy, PolicyState], tuple[Policy, int] | None] = _keep
    """Returns another policy and its run where what was measured asks for one."""
    deployment: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class _Deed:
    """What became of acting on a plan; without an outcome nothing was tried."""

    outcome: str | None = None
    started: tuple[str, ...] = ()
    draining: tuple[str, ...] = ()
    refusal: str | None = None


class ControlLoop:
    """Keeps the replicas of a deployment at the number that *policy* decides on.

    *state* is what an earlier life remembered. One turn ends before the next one begins.
    """

    def __init__(
        self, policy: Policy, around: Surroundings, *, state: PolicyState | None = None
    ) -> None:
        self._policy = policy
        self._around = around
        around.metrics.policy.keeps(policy.config)
        self._run = around.run
        self._state = state or PolicyState()
        self._fleet: Mapping[Role, Replicas] | None = None
        self._seen_at = around.clocks.steady()  # nothing is known from before
        self._turned_at = self._seen_at

    @property
    def idle_seconds(self) -> float:
        """Time since a turn ended: much more than an interval if one hangs."""
        return self._around.clocks.steady() - self._turned_at

    @property
    def state(self) -> PolicyState:
        """What its decisions remember."""
        return self._state

    async def run(self, stop: asyncio.Event) -> None:
        """Take a turn every interval until *stop* is set; replicas stay as they are then.

        Rates need two looks, so the first turn comes one interval after a first look. An error
        ends its turn, not the loop. Turns that a slow one overran are left out.
        """
        steady, interval = self._around.clocks.steady, self._policy.config.interval_seconds
        due = steady()
        step: Callable[[], Awaitable[object]] = self._observe
        while True:
            began = steady()
            try:
                await step()
            except Exception:
                log.exception("turn failed")
                self._around.metrics.failed()
            self._turned_at = now = steady()
            self._around.metrics.took(now - began)
            due += interval * max(1, ceil((now - due) / interval))
            if await set_within(stop, due - now):
                return
            step = self.turn

    async def once(self, *, window: float) -> Entry:
        """Take a single turn on what is seen during *window* seconds; return its entry."""
        await self._observe()
        await asyncio.sleep(window)
        return await self.turn()

    async def turn(self) -> Entry:
        """Observe, decide and act once; return the journal entry that says so."""
        observation, unseen = await self._observe()
        revised = self._around.revise(self._policy, self._state)
        if revised is not None:
            self._policy, self._run = revised
            self._around.metrics.policy.keeps(self._policy.config)
        plan = None if observation is None else self._decide(observation)
        deed = await self._act(plan)
        entry = Entry(
            at=self._around.clocks.wall(),
            observation=observation,
            plan=plan,
            outcome=deed.outcome,
            started=deed.started,
            draining=deed.draining,
            note="; ".join(filter(None, (unseen, deed.refusal))) or None,
        )
        number = self._around.journal.append(self._run, entry, state=self._state)
        _tell(number, entry, of=self._around.deployment)
        return entry

    async def _observe(self) -> tuple[Observation | None, str | None]:
        """Return what is seen, and why it is not all; None before the fleet was ever seen.

        While it is away, the fleet is what it last was: held, with the age of that.
        """
        now, metrics = self._around.clocks.steady(), self._around.metrics
        try:
            self._fleet = await self._around.connector.fleet()
            observation = await self._around.source.observe(self._fleet, now=now)
        except MetricsUnavailable as error:
            if self._fleet is None:
                metrics.saw_nothing()
                return None, str(error)
            blind = Observation(at=now, fleet=self._fleet, age_seconds=now - self._seen_at)
            metrics.saw(blind)
            return blind, str(error)
        metrics.saw(observation)
        if observation.traffic is None:
            return observation, "nothing tells the traffic"
        self._seen_at = now
        return observation, None

    def _decide(self, observation: Observation) -> Plan:
        policy = self._policy
        self._state, plan = decide(policy.config, policy.profile, self._state, observation)
        metrics = self._around.metrics
        metrics.policy.learned(self._state, plan)
        metrics.decided(plan, at=self._around.clocks.wall())
        return plan

    async def _act(self, plan: Plan | None) -> _Deed:
        if plan is None:
            return _Deed()
        if not plan.changes:
            return _Deed(outcome=Outcome.UNCHANGED)
        metrics = self._around.metrics
        try:
            result = await self._around.connector.scale(plan.desired)
        except ScaleRejected as error:
            metrics.acted(REJECTED)
            return _Deed(outcome=REJECTED, refusal=str(error))
        metrics.acted(result.outcome.value)
        if self._fleet is not None and result.outcome is Outcome.APPLIED:
            self._fleet = _moved(self._fleet, plan.desired)
        return _Deed(outcome=result.outcome, started=result.started, draining=result.draining)


def _moved(fleet: Mapping[Role, Replicas], desired: Mapping[Role, int]) -> Mapping[Role, Replicas]:
    """Return *fleet* as it is right after it was told to become *desired*."""
    moved = dict(fleet)
    for role, count in desired.items():
        before = fleet.get(role, Replicas())
        moved[role] = Replicas(
            ready=min(before.ready, count),
            starting=max(0, count - before.ready),
            draining=before.draining + max(0, before.ready - count),
        )
    return moved


async def set_within(event: asyncio.Event, seconds: float) -> bool:
    """Return whether *event* is set before *seconds* are over."""
    try:
        await asyncio.wait_for(event.wait(), seconds)
    except TimeoutError:
        return False
    return True


def _tell(number: int, entry: Entry, *, of: str | None) -> None:
    """Log *entry* in one line: what there is, what should be, why, and what was done."""
    observation, plan = entry.observation, entry.plan
    traffic = observation.traffic if observation else None
    log.info(
        "decision%s id=%d current=%s desired=%s why=%s arrived_per_s=%s outcome=%s note=%s",
        "" if of is None else f" deployment={of}",
        number,
        _by_role({r: d.current for r, d in plan.decisions.items()}) if plan else "-",
        _by_role(plan.desired) if plan else "-",
        _why(plan) if plan else "-",
        f"{traffic.arrived / traffic.seconds:.3g}" if traffic else "-",
        entry.outcome or "-",
        entry.note or "-",
    )


def _by_role(replicas: Mapping[Role, int]) -> str:
    return ",".join(f"{role.value}:{count}" for role, count in replicas.items())


def _why(plan: Plan) -> str:
    reasons = {role: [step.reason.value for step in d.steps] for role, d in plan.decisions.items()}
    return ",".join(f"{role.value}:{'+'.join(names)}" for role, names in reasons.items())
