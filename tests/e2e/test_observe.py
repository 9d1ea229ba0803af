"""A planner that only observes a busy deployment: it says what it would do, and touches nothing."""

import asyncio
from collections.abc import AsyncIterator, Iterator, Mapping
from contextlib import asynccontextmanager

import pytest

from connectors.circus.spec import spec_path
from planner.core.engine import EngineModel
from planner.core.observation import StepSums
from planner.core.role import Role
from planner.journal import Record
from planner.ports import Outcome
from planner.profiles import load_profile
from runtime.discovery.open import open_store

pytestmark = pytest.mark.e2e

TIGHT = "ttft=500ms,itl=40ms"
OBSERVED_SECONDS = 8.0


def heavy_load() -> Iterator[dict[str, int]]:
    """Yield 8 requests/s of 3,000 tokens: prefill of 2.2 s a second for qwen3-32b on one GPU."""
    for number in range(80):
        yield {"timestamp": 125 * number, "input_length": 3000, "output_length": 20}


@asynccontextmanager
async def written(url: str) -> AsyncIterator[list[Mapping[str, bytes]]]:
    """Yield all that the store held, at first and after every write to it."""
    seen: list[Mapping[str, bytes]] = []
    store = await open_store(url)
    watch = await store.watch("")

    async def follow() -> None:
        async for entries in watch.changes():
            seen.append(entries)  # noqa: PERF401 - read while it grows

    following = asyncio.create_task(follow())
    try:
        yield seen
    finally:
        await store.close()
        await following


def seconds_of(engine: EngineModel, steps: StepSums) -> float:
    """Return how long *engine* takes for *steps* of prefill alone."""
    law = engine.prefill
    return (
        law.base_seconds * steps.prefill_steps
        + law.token_seconds * steps.prefilled
        + law.token_squared_seconds * steps.prefilled_squared
    )


def assert_seen_closely(decisions: list[Record], requests: int) -> None:
    """The bins hold each request at most once, and the engines computed what their law says."""
    seen = [record.entry.observation for record in decisions]
    bins = [o.traffic.arrivals for o in seen if o and o.traffic]
    counted = sum(sum(one.counts) for one in bins)
    assert requests / 2 < counted <= requests
    assert sum(sum(one.isl) for one in bins) == 3000 * counted
    assert sum(sum(one.isl_squared) for one in bins) == 3000**2 * counted

    loads = [o.load.get(Role.PREFILL) for o in seen if o]
    steps = [load.steps for load in loads if load and load.steps]
    engine = load_profile("qwen3-32b-h200").at(None).engine
    for one in steps:
        assert one.decoded == one.kv_tokens == 0
        assert one.seconds == pytest.approx(seconds_of(engine, one), rel=1e-3)
    assert sum(one.prefilled for one in steps) > 3000


async def test_an_observing_planner_wants_more_and_writes_nothing(machine, tmp_path) -> None:
    flags = ("--planner=off", "--profile=qwen3-32b-h200", f"--sla={TIGHT}")
    async with machine.serving(*flags):
        before, described = machine.processes(), spec_path(machine.state).read_bytes()
        async with (
            written(machine.spec.store_url) as writes,
            machine.loaded(heavy_load(), tmp_path / "load") as load,
        ):
            observing = await machine.start("-v", "run", "--observe", "--interval=500ms")
            await asyncio.sleep(OBSERVED_SECONDS)
            code, err = await machine.finish(observing)
            requests = await load.requests()
        after = machine.processes()
        assert spec_path(machine.state).read_bytes() == described

    assert code == 0
    assert "planner OBSERVES" in err
    assert "turn failed" not in err
    assert "replicas stay as they are: prefill 1, decode 1" in err
    assert after == before
    assert len(writes) == 1
    assert {request["status"] for request in requests} == {"completed"}

    decisions = machine.decisions()
    assert {record.mode for record in decisions} == {"observes"}
    wanted = [record for record in decisions if record.changed]
    assert max(record.entry.plan.desired[Role.PREFILL] for record in wanted) >= 2
    assert {record.entry.outcome for record in wanted} == {Outcome.OBSERVED}
    assert all(not (r.entry.started or r.entry.draining) for r in decisions)
    assert_seen_closely(decisions, len(requests))
