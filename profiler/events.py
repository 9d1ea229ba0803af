"""Progress of a sweep as values, for whoever shows it: a bar, lines, or nothing."""

from collections.abc import Callable
from dataclasses import dataclass

from planner.core.profile import Parallelism
from profiler.ports import EngineFacts
from profiler.record import Ask, PointRecord, TransferRecord


@dataclass(frozen=True, slots=True, kw_only=True)
class EngineStarting:
    """An engine was asked for."""

    parallelism: Parallelism


@dataclass(frozen=True, slots=True, kw_only=True)
class EngineReady:
    """An engine answered, or *resumed*: told its facts in an earlier run and was not started."""

    parallelism: Parallelism
    facts: EngineFacts
    resumed: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class EngineFailed:
    """An engine did not start, or failed at too many points; the sweep goes on without it."""

    parallelism: Parallelism
    failure: str


@dataclass(frozen=True, slots=True, kw_only=True)
class PointStarting:
    """A point is about to be measured."""

    parallelism: Parallelism
    ask: Ask


@dataclass(frozen=True, slots=True, kw_only=True)
class PointDone:
    """A point was measured or failed, or *resumed*: was found in the store.

    *done* of *total* points of the sweep are behind it; *seconds_left* is an estimate.
    """

    record: PointRecord
    resumed: bool
    done: int
    total: int
    seconds_left: float


@dataclass(frozen=True, slots=True, kw_only=True)
class PairStarting:
    """Two engines were asked for, to see how fast KV moves between them."""

    parallelism: Parallelism


@dataclass(frozen=True, slots=True, kw_only=True)
class TransferDone:
    """The way between two engines was measured or failed, or *resumed*: was in the store."""

    record: TransferRecord
    resumed: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class EngineDone:
    """All that one engine is measured at is behind it."""

    parallelism: Parallelism
    measured: int
    failed: int


@dataclass(frozen=True, slots=True, kw_only=True)
class BudgetSpent:
    """Time is up: this and later engines are left as they are."""

    parallelism: Parallelism


Event = (
    EngineStarting
    | EngineReady
    | EngineFailed
    | PointStarting
    | PointDone
    | PairStarting
    | TransferDone
    | EngineDone
    | BudgetSpent
)
Listener = Callable[[Event], None]
