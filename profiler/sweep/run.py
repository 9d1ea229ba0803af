"""Runs a sweep: every planned engine in turn, every point once in a lifetime of its store."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from profiler.effort import Effort
from profiler.events import (
    BudgetSpent,
    EngineDone,
    EngineFailed,
    EngineReady,
    EngineStarting,
    Listener,
    PairStarting,
    PointDone,
    PointStarting,
    TransferDone,
)
from profiler.plan.sweep_plan import PlannedEngine
from profiler.ports import EngineFacts, MeasuringFailed, PairRig, Rig
from profiler.record import Ask, PointRecord, StartRecord, TransferRecord
from profiler.store import Key, Store, point_key, start_key, transfer_key
from profiler.sweep.bench import Bench
from profiler.sweep.choice import next_ask
from profiler.sweep.result import MeasuredEngine, Swept
from profiler.sweep.scope import Scope
from profiler.sweep.timekeeping import Timekeeper
from profiler.sweep.transfer import measure_transfer
from profiler.target import Target

# Points in a row at which an engine fails before it is given up.
_MOST_FAILURES = 3


@dataclass(frozen=True, slots=True, kw_only=True)
class Sweep:
    """What a sweep works with.

    *clock* tells seconds, *budget_seconds* how many of them may pass before nothing new is begun.
    *retry_failed* measures again what is in the store as failed. With *pairs*, two engines of the
    first parallelism show how fast KV moves between them.
    """

    rig: Rig
    store: Store
    target: Target
    report: Listener
    clock: Callable[[], float]
    budget_seconds: float | None = None
    retry_failed: bool = False
    pairs: PairRig | None = None

    async def run(self, engines: Sequence[PlannedEngine]) -> Swept:
        """Return what *engines* measured.

        Engines and points that fail are in the result, as failures. Cancelled, it leaves no engine
        running, and a later run with the same store goes on where this one was.
        """
        time = Timekeeper(self.clock, engines, budget_seconds=self.budget_seconds)
        turns = [_Turn(self, planned, time) for planned in engines]
        measured = tuple([await turn.run() for turn in turns])
        transfer = None
        if self.pairs is not None:
            transfer = await self._transfer(self.pairs, measured[0], engines[0].effort, time)
        return Swept(engines=measured, transfer=transfer)

    async def _transfer(
        self, pairs: PairRig, engine: MeasuredEngine, effort: Effort, time: Timekeeper
    ) -> TransferRecord | None:
        """Return how fast KV moves between two like *engine*, stored or measured; None if neither.

        Two of an engine that does not start are not tried, and none once the time is up.
        """
        if engine.facts is None:
            return None
        isl = Scope.of(engine.facts, self.target).usual_isl
        key = transfer_key(self.rig.identity, engine.parallelism, isl=isl)
        record = self.stored_transfer(key)
        is_kept = record is not None
        if record is None:
            if time.is_up:
                return None
            self.report(PairStarting(parallelism=engine.parallelism))
            record = await measure_transfer(pairs, engine.parallelism, effort, isl=isl)
            self.store.put(key, record)
        self.report(TransferDone(record=record, resumed=is_kept))
        return record

    def stored_transfer(self, key: Key) -> TransferRecord | None:
        """Return the way between two engines of an earlier run, if that is to be kept."""
        record = self.store.get(key)
        if not isinstance(record, TransferRecord) or (self.retry_failed and record.failure):
            return None
        return record

    def stored_start(self, key: Key) -> StartRecord | None:
        """Return how the engine started in an earlier run, if that is to be kept."""
        record = self.store.get(key)
        if not isinstance(record, StartRecord) or (self.retry_failed and record.failure):
            return None
        return record

    def stored_point(self, key: Key) -> PointRecord | None:
        """Return the point of an earlier run, if that is to be kept."""
        record = self.store.get(key)
        if not isinstance(record, PointRecord) or (self.retry_failed and record.failure):
            return None
        return record


class _Turn:
    """One engine's turn."""

    def __init__(self, sweep: Sweep, planned: PlannedEngine, time: Timekeeper) -> None:
        self._sweep = sweep
        self._effort = planned.effort
        self._parallelism = planned.parallelism
        self._time = time
        self._bench = Bench(sweep.rig, planned.parallelism, planned.effort)
        self._records: list[PointRecord] = []

    async def run(self) -> MeasuredEngine:
        """Return what the engine measured, having stopped it."""
        try:
            measured = await self._measured()
        finally:
            problem = await self._bench.stop()
        self._time.engine_done(self._parallelism)
        if measured.failure is None and problem is not None:
            measured = self._result(measured.facts, failure=problem, unfinished=measured.unfinished)
        if measured.failure is not None:
            self._tell_failure(measured.failure)
        failed = sum(record.failure is not None for record in self._records)
        self._sweep.report(
            EngineDone(
                parallelism=self._parallelism,
                measured=len(self._records) - failed,
                failed=failed,
            )
        )
        return measured

    async def _measured(self) -> MeasuredEngine:
        start = await self._start()
        if start is None:
            return self._out_of_time(None)
        if start.facts is None:
            return self._result(None, failure=start.failure)
        return await self._points(start.facts)

    async def _start(self) -> StartRecord | None:
        """Return how the engine started, in an earlier run or now; None when time is up."""
        sweep = self._sweep
        key = start_key(sweep.rig.identity, self._parallelism)
        stored = sweep.stored_start(key)
        if stored is not None:
            if stored.facts is not None:
                sweep.report(
                    EngineReady(parallelism=self._parallelism, facts=stored.facts, resumed=True)
                )
            return stored
        if self._time.is_up:
            return None
        try:
            record = StartRecord(parallelism=self._parallelism, facts=await self._engine_facts())
        except MeasuringFailed as error:
            record = StartRecord(parallelism=self._parallelism, failure=str(error))
        sweep.store.put(key, record)
        return record

    async def _engine_facts(self) -> EngineFacts:
        self._sweep.report(EngineStarting(parallelism=self._parallelism))
        facts = (await self._bench.engine()).facts
        self._sweep.report(EngineReady(parallelism=self._parallelism, facts=facts))
        return facts

    async def _points(self, facts: EngineFacts) -> MeasuredEngine:
        """Return the engine with its points; an engine that failed at one is started anew."""
        in_a_row = 0
        while (ask := self._next(facts)) is not None:
            try:
                record = await self._point(ask)
            except MeasuringFailed as error:
                return self._result(facts, failure=str(error))
            if record is None:
                return self._out_of_time(facts)
            in_a_row = in_a_row + 1 if record.failure is not None else 0
            if in_a_row >= _MOST_FAILURES:
                return self._result(facts, failure=f"failed at {in_a_row} points in a row")
        return self._result(facts)

    def _next(self, facts: EngineFacts) -> Ask | None:
        return next_ask(facts, self._sweep.target, self._effort, records=self._records)

    async def _point(self, ask: Ask) -> PointRecord | None:
        """Return the point, stored or measured; None when time is up.

        Raises MeasuringFailed when the engine does not start.
        """
        sweep = self._sweep
        key = point_key(sweep.rig.identity, self._parallelism, ask, effort=self._effort)
        record = sweep.stored_point(key)
        resumed = record is not None
        if record is None:
            if self._time.is_up:
                return None
            record = await self._fresh(ask)
            sweep.store.put(key, record)
        self._records.append(record)
        if not resumed:
            self._time.point_done()
        sweep.report(
            PointDone(
                record=record,
                resumed=resumed,
                done=self._time.done(self._parallelism, len(self._records)),
                total=self._time.points,
                seconds_left=self._time.seconds_left(self._parallelism, len(self._records)),
            )
        )
        return record

    async def _fresh(self, ask: Ask) -> PointRecord:
        if not self._bench.is_running:
            await self._engine_facts()
        self._sweep.report(PointStarting(parallelism=self._parallelism, ask=ask))
        self._time.point_starts()
        record = await self._bench.measure(ask, before=self._records)
        if record.failure is not None:
            await self._bench.stop()
        return record

    def _out_of_time(self, facts: EngineFacts | None) -> MeasuredEngine:
        self._sweep.report(BudgetSpent(parallelism=self._parallelism))
        return self._result(facts, unfinished=True)

    def _tell_failure(self, failure: str) -> None:
        self._sweep.report(EngineFailed(parallelism=self._parallelism, failure=failure))

    def _result(
        self, facts: EngineFacts | None, *, failure: str | None = None, unfinished: bool = False
    ) -> MeasuredEngine:
        return MeasuredEngine(
            parallelism=self._parallelism,
            facts=facts,
            records=tuple(self._records),
            failure=failure,
            unfinished=unfinished,
        )
