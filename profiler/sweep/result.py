"""What a sweep brought home."""

from dataclasses import dataclass

from planner.core.profile import DecodePoint, Parallelism, PrefillPoint
from profiler.ports import EngineFacts
from profiler.record import PointRecord, TransferRecord


@dataclass(frozen=True, slots=True, kw_only=True)
class MeasuredEngine:
    """One parallelism: its facts and its points, in the order chosen.

    *facts* is None where it did not start. *failure* says why it was given up before the last
    point; *unfinished* says that time was up.
    """

    parallelism: Parallelism
    facts: EngineFacts | None
    records: tuple[PointRecord, ...] = ()
    failure: str | None = None
    unfinished: bool = False

    @property
    def prefill_points(self) -> tuple[PrefillPoint, ...]:
        """The means of its prompts."""
        return tuple(p for p in (record.prefill_point for record in self.records) if p is not None)

    @property
    def decode_points(self) -> tuple[DecodePoint, ...]:
        """The means of its decode points, at the loads achieved."""
        return tuple(p for p in (record.decode_point for record in self.records) if p is not None)

    @property
    def failures(self) -> tuple[str, ...]:
        """A line for everything that went wrong."""
        lines = [
            f"{self.parallelism} {record.ask}: {record.failure}"
            for record in self.records
            if record.failure is not None
        ]
        if self.failure is not None:
            lines.append(f"{self.parallelism}: {self.failure}")
        return tuple(lines)


@dataclass(frozen=True, slots=True, kw_only=True)
class Swept:
    """All parallelisms of a sweep, and how fast KV moves between two engines.

    *transfer* is None where that was not to be measured, or the time was up.
    """

    engines: tuple[MeasuredEngine, ...]
    transfer: TransferRecord | None = None

    @property
    def is_partial(self) -> bool:
        """Whether something that was planned is missing."""
        return any(engine.failures or engine.unfinished for engine in self.engines)
