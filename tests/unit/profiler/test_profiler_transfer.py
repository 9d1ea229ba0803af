"""How fast KV moves between two engines: measured once, or assumed and said to be."""

from contextlib import asynccontextmanager
from dataclasses import dataclass, field

import pytest

from planner.core.engine import DecodeLaw, EngineLimits, EngineModel, PrefillLaw
from planner.core.profile import Parallelism
from planner.core.sla import Sla
from planner.core.workload import Workload
from profiler.effort import Effort
from profiler.events import TransferDone
from profiler.fake import FakeRig
from profiler.fit.engines import ADAPTER_BYTES_PER_SECOND, Assumed
from profiler.outcome import Heading, outcome
from profiler.plan.sweep_plan import PlannedEngine
from profiler.ports import MeasuringFailed, TransferSample
from profiler.store import FileStore, MemoryStore
from profiler.sweep.run import Sweep
from profiler.target import Target

pytestmark = pytest.mark.looptime

TP2, TP4 = Parallelism(tp=2), Parallelism(tp=4)
TARGET = Target(
    sla=Sla(ttft_seconds=1.0, itl_seconds=0.03), workload=Workload(rate_rps=0, isl=2000, osl=200)
)
HEADING = Heading(name="n", model="m", gpu="g", source="s", licence="l")
EFFORT = Effort(prefill_points=3, decode_points=4)
PLANNED = [
    PlannedEngine(parallelism=p, effort=EFFORT, start_seconds=1, points_seconds=1)
    for p in (TP2, TP4)
]
ENGINE = EngineModel(
    prefill=PrefillLaw(base_seconds=0.01, token_seconds=2e-5, token_squared_seconds=5e-10),
    decode=DecodeLaw(base_seconds=0.006, request_seconds=4e-5, kv_token_seconds=4e-8),
    limits=EngineLimits(
        max_num_batched_tokens=8192, max_num_seqs=256, block_size=16, kv_capacity_tokens=200_000,
        kv_bytes_per_token=1000, transfer_bytes_per_second=1.0,
    ),
)  # fmt: skip


@dataclass
class Pairs:
    """Pairs whose KV moves at 4 GB/s, slower at first and once in between."""

    broken: str = ""
    fails_at: int | None = None
    lasts: str = ""
    sent: list = field(default_factory=list)
    started: list = field(default_factory=list)
    running: int = 0

    @asynccontextmanager
    async def pair(self, parallelism):
        self.started.append(parallelism)
        if self.broken:
            raise MeasuringFailed(self.broken)
        self.running += 1
        try:
            yield self
        finally:
            self.running -= 1
            if self.lasts:
                raise MeasuringFailed(self.lasts)

    async def transfer(self, isl):
        if len(self.sent) == self.fails_at:
            raise MeasuringFailed("the KV did not arrive")
        self.sent.append(isl)
        slower = {1: 100, 5: 20}.get(len(self.sent), 1)
        return TransferSample(tokens=isl, bytes=isl * 1000, seconds=isl * 1000 / 4e9 * slower)


async def swept(pairs, *, store=None, report=lambda event: None, clock=lambda: 0.0, **given):
    sweep = Sweep(
        rig=FakeRig(engines={TP2: ENGINE, TP4: ENGINE}, tells_transfer=False),
        store=store or MemoryStore(),
        target=TARGET, report=report, clock=clock, pairs=pairs, **given,
    )  # fmt: skip
    found = await sweep.run(PLANNED)
    return outcome(found, HEADING, TARGET, assumed=Assumed(kv_bytes_per_token=1000))


def rates(came):
    return [e.engine.limits.transfer_bytes_per_second for e in came.profile.engines]


async def test_the_rate_is_measured_at_the_smallest_engine_and_is_that_of_a_gpu():
    pairs = Pairs()
    came = await swept(pairs)
    assert rates(came) == pytest.approx([4e9, 8e9])
    assert pairs.started == [TP2]
    assert pairs.running == 0
    assert set(pairs.sent) == {2000}
    told = "KV transfer rate: 2 GB/s a GPU, measured: the median of 8 prompts of 2000 tokens"
    assert any(note.startswith(told) for note in came.profile.notes)


FAILURES = [
    pytest.param(Pairs(broken="nixl is not installed"), "nixl is not installed", id="no start"),
    pytest.param(Pairs(fails_at=4), "the KV did not arrive", id="half of the way"),
    pytest.param(Pairs(lasts="still there"), "still there", id="no end"),
    pytest.param(
        Pairs(fails_at=4, lasts="still there"), "the KV did not arrive", id="no way and no end"
    ),
]


@pytest.mark.parametrize(("pairs", "why"), FAILURES)
async def test_what_could_not_be_measured_is_assumed_and_said_to_be(pairs, why):
    came = await swept(pairs)
    assert rates(came) == [2 * ADAPTER_BYTES_PER_SECOND, 4 * ADAPTER_BYTES_PER_SECOND]
    told = f"KV transfer rate: 50 GB/s a GPU, assumed and not measured: tp2: {why}."
    assert told in came.profile.notes
    assert not came.is_partial
    assert pairs.running == 0


async def test_without_a_pair_the_rate_is_assumed():
    came = await swept(None)
    assert "KV transfer rate: 50 GB/s a GPU, assumed and not measured." in came.profile.notes


async def test_it_is_measured_once_in_a_lifetime_of_the_store(tmp_path):
    first, again, retried, events = Pairs(fails_at=3), Pairs(), Pairs(), []
    await swept(first, store=FileStore(tmp_path))
    await swept(again, store=FileStore(tmp_path), report=events.append)
    assert again.started == []
    assert [e.resumed for e in events if isinstance(e, TransferDone)] == [True]
    came = await swept(retried, store=FileStore(tmp_path), retry_failed=True)
    assert rates(came) == pytest.approx([4e9, 8e9])
    came = await swept(again, store=FileStore(tmp_path))
    assert rates(came) == pytest.approx([4e9, 8e9])


async def test_no_pair_is_begun_once_the_time_is_up():
    pairs, events = Pairs(), []

    def clock():
        return 100.0 if len(events) >= 20 else 0.0

    await swept(pairs, report=events.append, clock=clock, budget_seconds=50.0)
    assert pairs.started == []
