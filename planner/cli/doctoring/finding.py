"""What one look came to."""

from dataclasses import dataclass
from enum import StrEnum

from planner.errors import PlannerError


class State(StrEnum):
    """How it stands with one thing."""

    OK = "ok"
    FAILED = "failed"
    """There, but not usable; or needed, and not there."""
    ABSENT = "absent"
    """Not there, which is fine."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """One thing that was looked at. *remedy* is what mends it, or brings it here."""

    name: str
    state: State
    found: str
    remedy: str | None = None
    needed: bool = True
    """Whether a simulated deployment on this machine needs it."""

    @property
    def prevents(self) -> bool:
        """Whether it keeps a simulated deployment from working."""
        return self.needed and self.state is State.FAILED


def ok(name: str, found: str) -> Finding:
    """Return that *name* is fine."""
    return Finding(name=name, state=State.OK, found=found)


def failed(name: str, found: str, remedy: str | None, *, needed: bool = True) -> Finding:
    """Return that *name* is not, and what mends it."""
    return Finding(name=name, state=State.FAILED, found=found, remedy=remedy, needed=needed)


def absent(name: str, found: str, remedy: str | None = None) -> Finding:
    """Return that *name* is not there, and what brings it here."""
    return Finding(name=name, state=State.ABSENT, found=found, remedy=remedy, needed=False)


def told(name: str, error: PlannerError, *, needed: bool = True) -> Finding:
    """Return that *name* is not fine, in the words of *error*."""
    return failed(name, str(error), error.hint, needed=needed)
