"""A sweep over engines that work, fail, hang and are killed."""

import asyncio
from collections import Counter
from dataclasses import dataclass, field

import pytest

from planner.core.engine import DecodeLaw, EngineLimits, EngineModel, PrefillLaw
from planner.core.profile import Parallelism
from planner.core.sla import Sla
from planner.core.workload import Workload
from planner.errors import ProfileError
from profiler.effort import Effort
from profiler.events import BudgetSpent, EngineFailed, EngineReady, EngineStarting, PointDone
from profiler.fake import FakeRig
from profiler.outcome import Assumed, Heading, outcome
from profiler.plan.sweep_plan import PlannedEngine
from profiler.record import DecodeAsk, PrefillAsk
from profiler.store import FileStore, MemoryStore
from profiler.sweep.choice import next_ask
from profiler.sweep.run import Sweep
from profiler.target import Target

pytestmark = pytest.mark.looptime

TP1, TP2 = Parallelism(tp=1), Parallelism(tp=2)
TARGET = Target(
    sla=Sla(ttft_seconds=1.0, itl_seconds=0.03), workload=Workload(rate_rps=0, isl=2000, osl=200)
)
ASSUMED = Assumed(kv_bytes_per_token=1, transfer_bytes_per_second=1.0)
HEADING = Heading(name="n", model="m", gpu="g", source="s", licence="l")


def engine(tp):
    return EngineModel(
        prefill=PrefillLaw(
            base_seconds=0.01, token_seconds=2e-5 / tp, token_squared_seconds=5e-10 / tp
        ),
        decode=DecodeLaw(base_seconds=0.006, request_seconds=4e-5 / tp, kv_token_seconds=4e-8 / tp),
        limits=EngineLimits(
            max_num_batched_tokens=8192,
            max_num_seqs=256,
            block_size=16,
            kv_capacity_tokens=200_000 * tp,
            kv_bytes_per_token=131_072,
            transfer_bytes_per_second=5e10,
        ),
    )


ENGINES = {TP1: engine(1), TP2: engine(2)}
EFFORT = Effort()
PLANNED = [
    PlannedEngine(parallelism=p, effort=EFFORT, start_seconds=30, points_seconds=100)
    for p in (TP1, TP2)
]


@dataclass
class Run:
    rig: FakeRig
    store: object = field(default_factory=MemoryStore)
    events: list = field(default_factory=list)
    now: float = 0.0

    async def __call__(self, **given):
        clock = given.pop("clock", lambda: self.now)
        report = given.pop("report", self.events.append)
        sweep = Sweep(
            rig=self.rig, store=self.store, target=TARGET, report=report, clock=clock, **given
        )
        return await sweep.run(PLANNED)


def rig(**given):
    return FakeRig(engines=ENGINES, noise=0.02, **given)


async def test_a_sweep_measures_what_was_planned_and_no_more():
    run = Run(rig())
    swept = await run()
    assert not swept.is_partial
    assert [len(e.prefill_points) for e in swept.engines] == [4, 4]
    assert [len(e.decode_points) for e in swept.engines] == [6, 6]
    assert max(Counter(run.rig.asked).values()) == 1
    assert run.rig.started == [TP1, TP2]
    assert run.rig.running == 0
    result = outcome(swept, HEADING, TARGET, assumed=ASSUMED)
    assert not result.is_partial
    assert result.choice.best is not None
    entry = result.profile.at(TP1)
    assert entry.start_up is not None
    assert entry.start_up.p50_seconds == 30
    assert entry.prefill_accuracy is not None
    assert entry.prefill_accuracy.confidence <= 0.04


async def test_first_passes_are_in_the_record_and_not_in_the_mean():
    swept = await Run(rig())()
    for record in swept.engines[0].records:
        assert len(record.first_passes) == 1
        slow, usual = (
            s.ttft_seconds if isinstance(record.ask, PrefillAsk) else s.itl_seconds
            for s in (record.first_passes[0], record.samples[0])
        )
        assert slow > 1.2 * usual


async def test_corners_come_first():
    swept = await Run(rig())()
    asks = [record.ask for record in swept.engines[0].records]
    assert [ask.isl for ask in asks[:3]] == [128, 16_368, 2000]
    loads = [ask for ask in asks if isinstance(ask, DecodeAsk)]
    assert loads[0].concurrency == 1
    assert (loads[1].concurrency, loads[1].context) == (256, 128)
    assert loads[2].context == 16_368
    assert all(ask.concurrency * ask.context <= 200_000 for ask in loads)


async def test_progress_counts_up_to_the_end():
    run = Run(rig())
    await run()
    done = [event for event in run.events if isinstance(event, PointDone)]
    assert [event.done for event in done] == list(range(1, 21))
    assert {event.total for event in done} == {20}
    assert done[-1].seconds_left == 0
    assert done[0].seconds_left > done[-2].seconds_left


FAULTS = [
    pytest.param({"broken": frozenset({TP1})}, "out of memory", id="does not start"),
    pytest.param({"hanging": frozenset({TP1})}, "did not start within 1800 s", id="never answers"),
]


@pytest.mark.parametrize(("fault", "said"), FAULTS)
async def test_an_engine_that_does_not_start_is_left_out(fault, said):
    run = Run(rig(**fault))
    swept = await run()
    assert swept.is_partial
    assert said in swept.engines[0].failures[0]
    assert [e.failure for e in run.events if isinstance(e, EngineFailed)] == [
        swept.engines[0].failure
    ]
    assert run.rig.running == 0
    result = outcome(swept, HEADING, TARGET, assumed=ASSUMED)
    assert result.is_partial
    assert [str(p) for p in result.profile.parallelisms] == ["tp2"]


POINT_FAULTS = [
    pytest.param("failing", "the engine answered 500", id="raises"),
    pytest.param("stuck", "no result within 600 s", id="hangs"),
]


@pytest.mark.parametrize(("kind", "said"), POINT_FAULTS)
async def test_a_point_that_fails_is_recorded_and_another_taken(kind, said):
    run = Run(rig(**{kind: frozenset({"tp1 prefill 16368"})}))
    swept = await run()
    first = swept.engines[0]
    assert said in first.failures[0]
    assert first.failure is None
    assert (len(first.prefill_points), len(first.decode_points)) == (4, 6)
    assert run.rig.started == [TP1, TP1, TP2]  # a fresh engine after the failure
    assert run.rig.running == 0
    assert outcome(swept, HEADING, TARGET, assumed=ASSUMED).is_partial


async def test_an_engine_that_fails_everywhere_is_given_up():
    everything = frozenset(
        f"tp1 prefill {ask.isl}" for ask in [PrefillAsk(isl=isl) for isl in range(1, 16_400)]
    )
    run = Run(rig(failing=everything))
    swept = await run()
    assert swept.engines[0].failure == "failed at 3 points in a row"
    assert len(swept.engines[0].records) == 3
    assert not swept.engines[1].failures


async def test_errors_of_the_rigs_own_do_not_end_the_sweep():
    class Rude(FakeRig):
        def engine(self, parallelism):
            if parallelism == TP1:
                raise RuntimeError("the\nsupervisor is gone")
            return super().engine(parallelism)

    swept = await Run(Rude(engines=ENGINES))()
    assert swept.engines[0].failure == "did not start: RuntimeError: the supervisor is gone"
    assert not swept.engines[1].failures


async def test_nothing_at_all_is_an_error_that_says_why():
    swept = await Run(rig(broken=frozenset(ENGINES)))()
    with pytest.raises(ProfileError, match="tp2: out of memory"):
        outcome(swept, HEADING, TARGET, assumed=ASSUMED)


async def test_a_spent_budget_ends_it_with_what_there_is():
    run = Run(rig())

    def report(event):
        run.events.append(event)
        run.now += 10 * isinstance(event, PointDone)

    swept = await run(budget_seconds=125, report=report)
    assert [len(e.records) for e in swept.engines] == [10, 3]
    assert swept.is_partial
    assert [e.parallelism for e in run.events if isinstance(e, BudgetSpent)] == [TP2]
    assert run.rig.running == 0


async def test_what_there_was_no_time_for_is_said():
    run = Run(rig())

    def report(event):
        run.now += 10 * isinstance(event, PointDone)

    swept = await run(budget_seconds=95, report=report)
    result = outcome(swept, HEADING, TARGET, assumed=ASSUMED)
    assert result.failures == ("tp2: not started, time was up",)
    assert result.is_partial


async def test_an_sla_that_nothing_meets_still_yields_the_profile():
    swept = await Run(rig())()
    tight = Target(sla=Sla(itl_seconds=0.001), workload=TARGET.workload)
    result = outcome(swept, HEADING, tight, assumed=ASSUMED)
    assert result.choice.best is None
    assert len(result.profile.engines) == 2
    assert result.choice.nearest is not None


async def test_failures_are_kept_until_they_are_to_be_tried_again():
    store = MemoryStore()
    await Run(rig(broken=frozenset({TP1})), store)()
    again = Run(rig(), store)
    assert (await again()).is_partial
    assert again.rig.started == []
    retried = Run(rig(), store)
    assert not (await retried(retry_failed=True)).is_partial
    assert retried.rig.started == [TP1]


async def test_a_finished_sweep_starts_nothing_again(tmp_path):
    first = await Run(rig(), FileStore(tmp_path))()
    run = Run(rig(), FileStore(tmp_path))
    assert await run() == first
    assert run.rig.started == []
    assert not [e for e in run.events if isinstance(e, EngineStarting)]
    assert all(e.resumed for e in run.events if isinstance(e, EngineReady | PointDone))


async def test_killed_at_any_event_it_goes_on_where_it_was():
    whole = Run(rig())
    expected = await whole()
    for cut in range(len(whole.events)):
        store = MemoryStore()
        killed, resumed = Run(rig(), store), Run(rig(), store)
        await _killed(killed, after=cut)
        assert killed.rig.running == 0
        assert await resumed() == expected
        # Only the point that was under way at the kill is asked for in both.
        twice = set(killed.rig.asked) & set(resumed.rig.asked)
        assert len(twice) <= 1
        assert set(killed.rig.asked) | set(resumed.rig.asked) == set(whole.rig.asked)


async def _killed(run, *, after):
    """Run until *after* events were told, then cancel as Ctrl-C does."""
    task: asyncio.Task

    def report(event):
        run.events.append(event)
        if len(run.events) > after:
            task.cancel()

    task = asyncio.get_running_loop().create_task(run(report=report))
    await asyncio.wait([task])
    assert task.cancelled() or task.exception() is None


async def test_what_is_asked_next_follows_from_the_records_alone():
    swept = await Run(rig())()
    first = swept.engines[0]
    for count, record in enumerate(first.records):
        found = next_ask(first.facts, TARGET, EFFORT, records=first.records[:count])
        assert found == record.ask
    assert next_ask(first.facts, TARGET, EFFORT, records=first.records) is None


@pytest.mark.parametrize(("times", "is_given_up"), [(2, False), (3, True)])
async def test_a_sample_that_others_spoiled_is_taken_again_but_not_forever(times, is_given_up):
    ask = f"{TP1} prefill 128"
    run = Run(rig(disturbed={ask: times}))
    swept = await run()
    (record,) = [r for r in swept.engines[0].records if r.ask == PrefillAsk(isl=128)]
    assert (record.failure == "somebody else was busy") is is_given_up
    assert bool(record.samples) is not is_given_up
    assert run.rig.started.count(TP1) == 1 + is_given_up
