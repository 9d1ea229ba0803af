"""A planner that only observes a busy deployment: it says what it would do, and touches nothing."""

import asyncio
from collections.abc import AsyncIterator, Iterator, Mapping
from contextlib import asynccontextmanager

import pytest

from connectors.circus.spec import spec_path
from planner.core.role import Role
from planner.ports import Outcome
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
