"""The runtime as real processes over real etcd and NATS: found, called, killed, drained."""

import asyncio
import signal
import sys
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import suppress
from pathlib import Path

import pytest

from runtime import Client, DistributedRuntime, RuntimeConfig
from runtime.errors import NoInstances, StreamBroken

pytestmark = pytest.mark.e2e

ROOT = Path(__file__).parents[2]
ENDLESS = 1_000_000
START_SECONDS = 20.0
AT_ONCE = 0.5  # seconds; a lease takes ten

Start = Callable[[str], Awaitable[asyncio.subprocess.Process]]


@pytest.fixture
def config(etcd_server, nats_server, tmp_path) -> RuntimeConfig:
    return RuntimeConfig(
        store_url=etcd_server.url,
        plane_url=nats_server.url,
        namespace=tmp_path.name.replace("_", "-")[:60],
    )


@pytest.fixture
async def caller(config) -> AsyncIterator[DistributedRuntime]:
    async with await DistributedRuntime.connect(config) as runtime:
        yield runtime


@pytest.fixture
async def start(config) -> AsyncIterator[Start]:
    processes: list[asyncio.subprocess.Process] = []

    async def start(name: str) -> asyncio.subprocess.Process:
        processes.append(
            await asyncio.create_subprocess_exec(
                *(sys.executable, "-m", "runtime.process", "--"),
                *(sys.executable, "-m", "runtime.service", f"counting_service:{name}"),
                *("--store", config.store_url, "--plane", config.plane_url),
                *("--namespace", config.namespace, "--drain-timeout", "10"),
                cwd=ROOT,
                env={"PYTHONPATH": str(Path(__file__).parent)},
            )
        )
        return processes[-1]

    yield start
    for process in processes:
        if process.returncode is None:
            process.kill()
        await process.wait()


@pytest.fixture
async def counters(start, caller) -> tuple[Client, dict[int, asyncio.subprocess.Process]]:
    """A client of two counters, and their processes by instance."""
    processes = [await start("Counter") for _ in range(2)]
    client = await caller.endpoint("Counter", "count").client()
    await client.wait_for_instances(2, timeout=START_SECONDS)
    ends = await caller.endpoint("Counter", "ends").client()
    await ends.wait_for_instances(2, timeout=START_SECONDS)
    by_pid = {process.pid: process for process in processes}
    # Two endpoints of one process have ids of their own: a stream of each tells which is whose.
    owners = {}
    for record in client.instances:
        stream = await client.generate(ENDLESS, instance_id=record.instance_id)
        await anext(stream)
        states = [await ends.call(None, instance_id=found.instance_id) for found in ends.instances]
        owners[record.instance_id] = by_pid[
            next(state["pid"] for state in states if state["running"])
        ]
        await stream.kill()
        await until(ends, running=0)
    return client, owners


async def until(ends: Client, **expected: int) -> float:
    """Return the seconds until all counters together report *expected*."""
    began = time.monotonic()
    async with asyncio.timeout(5):
        while True:
            states = [
                await ends.call(None, instance_id=found.instance_id) for found in ends.instances
            ]
            totals = {name: sum(state[name] for state in states) for name in expected}
            if totals == expected:
                return time.monotonic() - began


async def doubled(client: Client, upto: int) -> list[int]:
    return [number async for number in await client.generate(upto, response_type=int)]


async def test_services_find_each_other_in_any_order(start, caller):
    await start("Doubler")
    client = await caller.endpoint("Doubler", "count").client()
    await client.wait_for_instances(timeout=START_SECONDS)
    with pytest.raises(NoInstances, match="Counter"):
        await doubled(client, 5)
    await start("Counter")
    async with asyncio.timeout(START_SECONDS):
        while True:
            with suppress(NoInstances):  # until the doubler has heard of the counter
                assert await doubled(client, 5) == [0, 2, 4, 6, 8]
                return
            await asyncio.sleep(0.05)


async def test_a_killed_worker_breaks_its_streams_at_once_and_is_passed_over(counters):
    client, processes = counters
    stream = await client.generate(ENDLESS)
    assert await anext(stream) == 0
    processes[stream.instance_id].send_signal(signal.SIGKILL)
    began = time.monotonic()
    with pytest.raises(StreamBroken):
        async for _ in stream:
            pass
    assert time.monotonic() - began < AT_ONCE
    assert client.in_flight(stream.instance_id) == 0
    began = time.monotonic()
    for _ in range(4):  # the dead one is still listed
        other = await client.generate(3)
        assert other.instance_id != stream.instance_id
        assert [number async for number in other] == [0, 1, 2]
    assert time.monotonic() - began < 4 * AT_ONCE


async def test_a_drained_worker_finishes_its_streams_and_exits_well(counters):
    client, processes = counters
    stream = await client.generate(50)
    assert await anext(stream) == 0
    processes[stream.instance_id].send_signal(signal.SIGTERM)
    async with asyncio.timeout(5):
        rest = [number async for number in stream]
        assert rest == list(range(1, 50))
        assert await processes[stream.instance_id].wait() == 0
    assert [found.instance_id for found in client.all_instances] != []
    for _ in range(4):
        other = await client.generate(1)
        assert other.instance_id != stream.instance_id
        assert [number async for number in other] == [0]


async def test_kill_and_stop_reach_another_process_at_once(counters, caller):
    client, _ = counters
    ends = await caller.endpoint("Counter", "ends").client()
    before = sum(
        [(await ends.call(None, instance_id=one.instance_id))["killed"] for one in ends.instances]
    )
    killed, stopped = await client.generate(ENDLESS), await client.generate(ENDLESS)
    await asyncio.gather(anext(killed), anext(stopped))
    await killed.kill()
    assert await until(ends, killed=before + 1, running=1) < AT_ONCE
    began = time.monotonic()
    await stopped.stop()
    async for _ in stopped:
        pass
    assert time.monotonic() - began < AT_ONCE
    assert await until(ends, running=0) < AT_ONCE


async def test_a_caller_that_dies_takes_its_requests_along(counters, config, caller):
    ends = await caller.endpoint("Counter", "ends").client()
    script = f"""
import asyncio
from runtime import DistributedRuntime, RuntimeConfig

async def main():
    config = RuntimeConfig(store_url={config.store_url!r}, plane_url={config.plane_url!r},
                           namespace={config.namespace!r})
    runtime = await DistributedRuntime.connect(config)
    client = await runtime.endpoint("Counter", "count").client()
    stream = await client.generate({ENDLESS})
    print(await anext(stream), flush=True)
    async for _ in stream:
        pass

asyncio.run(main())
"""
    dying = await asyncio.create_subprocess_exec(
        sys.executable, "-c", script, cwd=ROOT, stdout=asyncio.subprocess.PIPE
    )
    assert await dying.stdout.readline() == b"0\n"
    await until(ends, running=1)
    dying.kill()
    await dying.wait()
    assert await until(ends, running=0) < AT_ONCE
