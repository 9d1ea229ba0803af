"""What an engine tells of itself at one moment, and what it computed between two of them."""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass, fields

from planner.core.observation import StepSums


@dataclass(frozen=True, slots=True, kw_only=True)
class EngineReading:
    """An engine now. *sums* count from its start; None where the engine does not tell.

    *in_flight* are the requests inside the worker, *running* those in the engine's batch.
    """

    running: int
    waiting: int
    in_flight: int
    sums: StepSums | None


ReadEngine = Callable[[], Awaitable[EngineReading]]
"""Reads the engine now. Raises MeasuringFailed when it does not answer."""


def grown(before: EngineReading, after: EngineReading) -> StepSums | None:
    """Return what the engine computed between two readings; None where it does not tell."""
    if before.sums is None or after.sums is None:
        return None
    names = [field.name for field in fields(StepSums)]
    return StepSums(
        **{name: getattr(after.sums, name) - getattr(before.sums, name) for name in names}
    )
