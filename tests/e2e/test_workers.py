"""Real worker processes on a real etcd and NATS: they answer, survive each other, and drain."""

import asyncio
import os
import signal
import sys
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from itertools import count
from pathlib import Path

import aiohttp
import pytest

import planner
import workers.simulated
from runtime.client import Client
from runtime.config import RuntimeConfig
from runtime.errors import RuntimeFault
from runtime.protocol import FinishReason, GenerateRequest, Sampling, TokenDelta
from runtime.runtime import DistributedRuntime
from workers.disaggregation.decision import settings_key

pytestmark = pytest.mark.e2e

MODEL = Path(workers.simulated.__file__).parent / "model"
PROFILE = Path(planner.__file__).parent / "profiles" / "llama-3.1-8b-fp8-h200.json"
ROOT = Path(planner.__file__).parent.parent
WAIT_SECONDS = 20.0
_numbers = count()


class Deployment:
    """Worker processes of one namespace, and a runtime to call them with."""

    def __init__(self, runtime: DistributedRuntime, log: Path) -> None:
        self.runtime = runtime
        self.processes: list[asyncio.subprocess.Process] = []
        self._log = log

    async def start(self, role: str, *extra: str) -> asyncio.subprocess.Process:
        """Start a worker; returns once it is registered."""
        client = await self.client(role)
        before = len(client.instances)
        process = await self.spawn(self.command(role, *extra))
        await client.wait_for_instances(before + 1, timeout=WAIT_SECONDS)
        return process

    def command(self, role: str, *extra: str) -> list[str]:
        config = self.runtime.config
        return [
            *(sys.executable, "-m", "workers.simulated", "--role", role),
            *("--name", f"{role}-{len(self.processes)}", "--namespace", config.namespace),
            *("--store", config.store_url, "--plane", config.plane_url),
            *("--model", str(MODEL), "--model-name", "tiny", "--profile", str(PROFILE)),
            *("--max-local-prefill-length", "128", "--prefill-ack-wait", "1s", *extra),
        ]

    async def spawn(self, command: list[str]) -> asyncio.subprocess.Process:
        with self._log.open("ab") as log:
            process = await asyncio.create_subprocess_exec(
                *command, stdout=log, stderr=log, cwd=ROOT
            )
        self.processes.append(process)
        return process

    async def client(self, role: str) -> Client:
        endpoint = "prefill" if role == "prefill" else "generate"
        return await self.runtime.endpoint(role, endpoint).client()

    async def value(self, role: str, series: str) -> float:
        """Return the sum of *series* over the instances of *role*, from their metrics pages."""
        total = 0.0
        async with aiohttp.ClientSession() as session:
            for instance in (await self.client(role)).all_instances:
                async with session.get(instance.metadata["metrics_url"]) as page:
                    lines = (await page.text()).splitlines()
                name, _, label = series.partition("{")
                total += sum(
                    float(line.rsplit(" ", 1)[1])
                    for line in lines
                    if line.startswith(f"planner_worker_{name}{{") and label in line
                )
        return total

    async def until_idle(self, role: str) -> None:
        for series in ("in_flight_requests", "kv_blocks_used"):
            await self.until_value(role, series, lambda value: value == 0)

    async def until_value(self, role: str, series: str, wanted: Callable[[float], bool]) -> None:
        async with asyncio.timeout(WAIT_SECONDS):
            while not wanted(await self.value(role, series)):  # noqa: ASYNC110 - over HTTP
                await asyncio.sleep(0.05)

    def log(self) -> str:
        return self._log.read_text()

    async def close(self) -> None:
        for process in self.processes:
            if process.returncode is None:
                with suppress(ProcessLookupError):
                    process.send_signal(signal.SIGCONT)
                    process.kill()
            await process.wait()


@asynccontextmanager
async def deployed(store_url: str, plane_url: str, log: Path) -> AsyncIterator[Deployment]:
    config = RuntimeConfig(
        store_url=store_url,
        plane_url=plane_url,
        namespace=f"workers-{os.getpid()}-{next(_numbers)}",
    )
    async with await DistributedRuntime.connect(config) as runtime:
        made = Deployment(runtime, log)
        try:
            yield made
        finally:
            await made.close()
            sys.stdout.write(made.log())  # shown when a test fails


@pytest.fixture
async def deployment(etcd_server, nats_server, tmp_path) -> AsyncIterator[Deployment]:
    async with deployed(etcd_server.url, nats_server.url, tmp_path / "workers.log") as made:
        yield made


def request(name: str = "r", tokens: int = 1000, osl: int = 10) -> GenerateRequest:
    start = sum(name.encode()) % 100
    return GenerateRequest(
        request_id=name,
        token_ids=[10 + (start + 7 * index) % 2000 for index in range(tokens)],
        sampling=Sampling(max_tokens=osl, ignore_eos=True),
    )


async def ask(client: Client, one: GenerateRequest) -> list[TokenDelta]:
    return [delta async for delta in await client.generate(one, response_type=TokenDelta)]


async def ask_again(client: Client, one: GenerateRequest) -> list[TokenDelta]:
    """Ask until an instance answers, as the frontend does while servers come back."""
    async with asyncio.timeout(WAIT_SECONDS):
        while True:
            try:
                return await ask(client, one)
            except RuntimeFault as fault:
                if not fault.retryable:
                    raise
            await asyncio.sleep(0.05)


def tokens(deltas: list[TokenDelta]) -> list[int]:
    return [token for delta in deltas for token in delta.token_ids]


async def test_prefill_elsewhere_gives_the_answer_of_one_worker_alone(deployment):
    await asyncio.gather(*(deployment.start(r) for r in ("aggregated", "prefill", "decode")))
    alone, client = await deployment.client("aggregated"), await deployment.client("decode")
    names = [f"r{number}" for number in range(8)]
    expected = await asyncio.gather(*(ask(alone, request(name)) for name in names))
    answers = await asyncio.gather(*(ask(client, request(name)) for name in names))
    assert [tokens(deltas) for deltas in answers] == [tokens(deltas) for deltas in expected]
    assert all(deltas[-1].finish_reason is FinishReason.LENGTH for deltas in answers)
    assert all(deltas[0].remote_prefill is True for deltas in answers)
    assert await deployment.value("decode", 'remote_prefills_total{outcome="done"') == 8
    assert await deployment.value("decode", "local_prefills_total") == 0
    await deployment.until_idle("decode")


async def test_limits_are_reloaded_and_bad_ones_refused(deployment):
    await asyncio.gather(deployment.start("prefill"), deployment.start("decode"))
    client, store = await deployment.client("decode"), deployment.runtime.store
    key = settings_key(deployment.runtime.config.namespace)

    async def is_remote(name: str, length: int) -> bool | None:
        return (await ask(client, request(name, tokens=length)))[0].remote_prefill

    await store.put(key, b'{"max_local_prefill_length": 500}')
    await asyncio.sleep(0.3)
    assert not await is_remote("a", 400)
    await store.put(key, b'{"max_local_prefill_length": "none"}')
    await asyncio.sleep(0.3)
    assert not await is_remote("b", 400)
    assert await is_remote("c", 600)
    await store.delete(key)
    await asyncio.sleep(0.3)
    assert await is_remote("d", 400)


@pytest.mark.parametrize("others", [0, 1], ids=["the only one", "one of two"])
async def test_a_killed_prefill_worker_loses_no_request(deployment, others):
    slow = ("--speedup", "0.05")  # 20 s for a prompt
    victim, _ = await asyncio.gather(
        deployment.start("prefill", *slow),
        deployment.start("decode"),
    )
    client = await deployment.client("decode")
    task = asyncio.create_task(ask(client, request(tokens=15_000)))
    await deployment.until_value("prefill", "in_flight_requests", bool)
    for _ in range(others):
        await deployment.start("prefill")
    victim.kill()
    async with asyncio.timeout(WAIT_SECONDS):
        deltas = await task
    assert len(tokens(deltas)) == 10
    assert deltas[0].remote_prefill is bool(others)
    await victim.wait()
    await deployment.until_idle("decode")


async def test_a_hung_prefill_worker_loses_no_request(deployment):
    hung, _ = await asyncio.gather(
        deployment.start("prefill", "--speedup", "0.05"), deployment.start("decode")
    )
    client = await deployment.client("decode")
    task = asyncio.create_task(ask(client, request(tokens=15_000)))
    await deployment.until_value("prefill", "in_flight_requests", bool)
    hung.send_signal(signal.SIGSTOP)
    await deployment.start("prefill")
    async with asyncio.timeout(WAIT_SECONDS):
        deltas = await task
    assert deltas[0].remote_prefill is True


async def test_a_killed_decode_worker_ends_its_streams_typed(deployment):
    victim = await deployment.start("decode")
    client = await deployment.client("decode")
    response = await client.generate(request(osl=10_000), response_type=TokenDelta)
    await anext(response)
    victim.kill()
    with pytest.raises(RuntimeFault) as caught:
        async for _ in response:
            pass
    assert caught.value.retryable


async def test_sigterm_drains_every_role_without_failing_a_stream(deployment):
    roles = ("aggregated", "decode", "prefill")
    processes = await asyncio.gather(*(deployment.start(role) for role in roles))
    clients = [await deployment.client(role) for role in ("aggregated", "decode")]
    streams = [
        asyncio.create_task(ask(client, request(f"r{number}", osl=100)))
        for number in range(6)
        for client in clients
    ]
    await asyncio.sleep(0.1)
    for process in processes:
        process.send_signal(signal.SIGTERM)
    answers = await asyncio.gather(*streams)
    assert {len(tokens(deltas)) for deltas in answers} == {100}
    async with asyncio.timeout(WAIT_SECONDS):
        assert [await process.wait() for process in processes] == [0, 0, 0]
    store = deployment.runtime.store
    watch = await store.watch(f"instances/{deployment.runtime.config.namespace}/")
    assert dict(watch.entries) == {}
    await watch.close()


async def test_a_second_sigterm_ends_it_now(deployment):
    process = await deployment.start("aggregated")
    client = await deployment.client("aggregated")
    response = await client.generate(request(osl=100_000), response_type=TokenDelta)
    await anext(response)
    process.send_signal(signal.SIGTERM)
    async with asyncio.timeout(WAIT_SECONDS):
        while client.instances:  # noqa: ASYNC110 - a view that changes by itself
            await asyncio.sleep(0.02)
        process.send_signal(signal.SIGTERM)
        assert await process.wait() == 128 + signal.SIGTERM
    with pytest.raises(RuntimeFault):
        async for _ in response:
            pass


async def test_a_prefill_outlives_the_queue_that_it_came_from(etcd_server, own_nats, tmp_path):
    async with deployed(etcd_server.url, own_nats.url, tmp_path / "workers.log") as deployment:
        slow = deployment.start("prefill", "--speedup", "0.03")  # 1.6 s for a prompt
        await asyncio.gather(slow, deployment.start("decode"))
        client = await deployment.client("decode")
        task = asyncio.create_task(ask(client, request(tokens=2000)))
        await deployment.until_value("prefill", "in_flight_requests", bool)
        own_nats.kill()
        assert (await task)[0].remote_prefill is True

        await own_nats.start()
        await deployment.until_value("decode", "prefill_queue_depth", lambda depth: depth == 0)
        again = await ask_again(client, request("again", tokens=1000))
        assert len(tokens(again)) == 10
        await deployment.until_idle("decode")


async def test_a_worker_waits_for_servers_that_come_later(own_etcd, nats_server, tmp_path):
    async with deployed(own_etcd.url, nats_server.url, tmp_path / "workers.log") as deployment:
        client = await deployment.client("aggregated")
        own_etcd.kill()
        await deployment.spawn(deployment.command("aggregated"))
        async with asyncio.timeout(WAIT_SECONDS):
            while "waiting to connect" not in deployment.log():  # noqa: ASYNC110 - a file
                await asyncio.sleep(0.05)
        await own_etcd.start()
        await client.wait_for_instances(1, timeout=WAIT_SECONDS)
        assert len(tokens(await ask(client, request()))) == 10


async def test_a_worker_goes_with_its_supervisor(deployment):
    client = await deployment.client("aggregated")
    worker = deployment.command("aggregated")
    program = f"import subprocess; subprocess.run({worker!r})"
    supervisor = await deployment.spawn([sys.executable, "-c", program])
    await client.wait_for_instances(1, timeout=WAIT_SECONDS)
    supervisor.kill()
    async with asyncio.timeout(5):  # it drains and says so, well before its lease would end
        while client.all_instances:  # noqa: ASYNC110 - a view that changes by itself
            await asyncio.sleep(0.02)
