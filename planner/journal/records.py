"""What goes into a journal and what comes out of it."""

from dataclasses import dataclass, field
from typing import Literal

from planner.core.observation import Observation
from planner.core.plan import Plan, Reason
from planner.core.role import Role
from planner.core.state import PolicyState

Mode = Literal["acts", "observes"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Run:
    """One life of a planner process.

    *config* is the effective configuration in the plain form of `planner.core.encoding`; with it
    and the state that the policy began with, the run's decisions can be replayed.
    """

    id: int = 0
    """Given by the journal."""
    started: float
    """Wall clock, seconds since the epoch."""
    mode: Mode
    sla: str
    config: object = None
    initial_state: PolicyState = field(default_factory=PolicyState)


@dataclass(frozen=True, slots=True, kw_only=True)
class Entry:
    """One turn of the loop: what was seen, what was decided, what became of acting on it.

    *observation* and *plan* are None where nothing could be seen; *note* then says why.
    """

    at: float
    """Wall clock, seconds since the epoch."""
    observation: Observation | None
    plan: Plan | None
    outcome: str | None = None
    """Of acting: ``applied``, ``unchanged``, ``observed``, ``rejected``; None if not tried."""
    started: tuple[str, ...] = ()
    """Replicas that acting started, by name."""
    draining: tuple[str, ...] = ()
    """Replicas that acting began to drain."""
    note: str | None = None
    """What went wrong, in one line."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Record:
    """An entry as the journal keeps it, with its number and the run that wrote it."""

    id: int
    run: int
    mode: Mode
    sla: str
    entry: Entry

    @property
    def changed(self) -> bool:
        """Whether the plan differed from the fleet it was made for."""
        return self.entry.plan is not None and self.entry.plan.changes


@dataclass(frozen=True, slots=True, kw_only=True)
class Query:
    """Which decisions to read; what is left out does not restrict."""

    since: float | None = None
    """Wall clock, seconds since the epoch."""
    role: Role | None = None
    reason: Reason | None = None
    changed: bool = False
    """Only those whose plan differed from the fleet, or that have a note."""
    run: int | None = None
    mode: Mode | None = None
    limit: int = 50
