"""What is known about one request after it was sent, or given up."""

from dataclasses import dataclass
from enum import StrEnum

from planner.core.sla import Sla


class Status(StrEnum):
    """How a request ended."""

    COMPLETED = "completed"
    FAILED = "failed"
    INTERRUPTED = "interrupted"
    """The replay was stopped while it was under way; says nothing about the server."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Measurement:
    """One request. Times are in seconds; *due_seconds* counts from the start of the replay.

    TTFT and duration count from when the load generator turned to the request, *late_seconds*
    after it was due: waiting for a free slot is part of them, a late generator is not.
    """

    index: int
    due_seconds: float
    isl: int
    osl: int
    """Tokens asked for."""
    status: Status
    error: str | None = None
    late_seconds: float = 0.0
    ttft_seconds: float | None = None
    itl_seconds: float | None = None
    """Mean over the request; None for a single token."""
    duration_seconds: float | None = None
    tokens: int | None = None
    """Tokens that came."""

    def within(self, sla: Sla) -> bool:
        """Return whether it completed inside both targets."""
        if self.status is not Status.COMPLETED or self.ttft_seconds is None:
            return False
        if sla.ttft_seconds is not None and self.ttft_seconds > sla.ttft_seconds:
            return False
        itl = self.itl_seconds
        return sla.itl_seconds is None or itl is None or itl <= sla.itl_seconds
