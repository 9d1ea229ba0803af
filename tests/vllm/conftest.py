"""Real vLLM engines on a CPU: worker processes, a frontend, and what a test looks at."""

import asyncio
import os
import signal
import sys
import time
from asyncio.subprocess import Process
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from importlib import util
from pathlib import Path

import aiohttp
import openai
import pytest
import pytest_asyncio
from prometheus_client.parser import text_string_to_metric_families

from runtime.client import Client
from runtime.config import RuntimeConfig
from runtime.protocol import GenerateRequest, Sampling, TokenDelta
from runtime.runtime import DistributedRuntime
from runtime.servers import LOOPBACK, free_port
from workers.disaggregation.decision import settings_key
from workers.vllm.make_model import write

ROOT = Path(__file__).parents[2]
MODEL = "tiny"
BLOCK = 32
START_SECONDS = 300.0
WAIT_SECONDS = 30.0
ENGINE = ("--max-model-len", "2048", "--max-num-seqs", "16", "--kv-cache-memory-bytes", "64M",
          "--block-size", str(BLOCK))  # fmt: skip


def pytest_ignore_collect(collection_path: Path, config: pytest.Config) -> bool | None:
    """Leave these tests alone unless they are asked for where vLLM is installed."""
    asked = "vllm" in (config.option.markexpr or "") or any("tests/vllm" in a for a in config.args)
    return None if asked and util.find_spec("vllm") is not None else True


@dataclass(frozen=True, slots=True)
class Running:
    """A worker and the words that it logs."""

    name: str
    role: str
    process: Process
    log: Path


class Deployment:
    """Worker processes of one namespace, and a runtime to call them with."""

    def __init__(self, runtime: DistributedRuntime, model: Path, folder: Path) -> None:
        self.runtime = runtime
        self.workers: dict[str, Running] = {}
        self._model = model
        self._folder = folder

    async def start(self, role: str, *extra: str, engine: tuple[str, ...] = ()) -> Running:
        """Start a worker; returns as soon as it runs, long before it is ready."""
        name = f"{role}-{len(self.workers)}"
        config = self.runtime.config
        command = [
            *(sys.executable, "-m", "runtime.process", "--"),
            *(sys.executable, "-m", "workers.vllm", "--role", role, "--name", name),
            *("--namespace", config.namespace, "--store", config.store_url),
            *("--plane", config.plane_url, "--model", str(self._model), "--model-name", MODEL),
            *("--max-local-prefill-length", "64", "--prefill-ack-wait", "2s", *extra),
            *("--", *ENGINE, *engine),
        ]
        log = self._folder / f"{name}.log"
        with log.open("wb") as out:
            process = await asyncio.create_subprocess_exec(
                *command, stdout=out, stderr=out, cwd=ROOT
            )
        self.workers[name] = Running(name, role, process, log)
        return self.workers[name]

    async def ready(self, *workers: Running) -> None:
        """Return once all of *workers* are listed."""
        async with asyncio.timeout(START_SECONDS):
            for worker in workers:
                client = await self.client(worker.role)
                while worker.name not in {one.metadata["name"] for one in client.instances}:
                    if worker.process.returncode is not None:
                        pytest.fail(f"{worker.name} ended:\n{worker.log.read_text()[-4000:]}")
                    await asyncio.sleep(0.1)

    async def client(self, role: str) -> Client:
        endpoint = "prefill" if role == "prefill" else "generate"
        return await self.runtime.endpoint(role, endpoint).client()

    async def page(self, worker: Running) -> dict[str, float]:
        """Return what the worker shows: every series by its name, labels of outcome added."""
        (url,) = [
            one.metadata["metrics_url"]
            for one in (await self.client(worker.role)).all_instances
            if one.metadata["name"] == worker.name
        ]
        async with aiohttp.ClientSession() as session, session.get(url) as answer:
            text = await answer.text()
        found: dict[str, float] = {}
        for family in text_string_to_metric_families(text):
            for sample in family.samples:
                extra = sample.labels.get("outcome") or sample.labels.get("stage")
                name = sample.name.removeprefix("planner_worker_")
                found[f"{name}/{extra}" if extra else name] = sample.value
        return found

    async def until(self, worker: Running, condition: Callable[[dict[str, float]], bool]) -> None:
        """Return once the page of *worker* meets *condition*."""
        page: dict[str, float] = {}
        try:
            async with asyncio.timeout(WAIT_SECONDS):
                while not condition(page := await self.page(worker)):  # noqa: ASYNC110 - over HTTP
                    await asyncio.sleep(0.05)
        except TimeoutError:
            pytest.fail(f"{worker.name} shows {page}")

    async def until_idle(self, worker: Running) -> None:
        await self.until(
            worker, lambda page: page["kv_blocks_used"] == page["requests_running"] == 0
        )

    async def end(self, worker: Running, number: signal.Signals = signal.SIGTERM) -> int:
        """Send *number* and return the exit code."""
        if worker.process.returncode is None:
            worker.process.send_signal(number)
        return await asyncio.wait_for(worker.process.wait(), WAIT_SECONDS)

    async def close(self) -> None:
        for worker in self.workers.values():
            if worker.process.returncode is None:
                worker.process.terminate()
        for worker in self.workers.values():
            try:
                await asyncio.wait_for(worker.process.wait(), WAIT_SECONDS)
            except TimeoutError:
                worker.process.kill()
                await worker.process.wait()
            sys.stdout.write(f"--- {worker.name}\n{worker.log.read_text()[-6000:]}")


@asynccontextmanager
async def deployed(
    store_url: str, plane_url: str, model: Path, folder: Path
) -> AsyncIterator[Deployment]:
    config = RuntimeConfig(
        store_url=store_url, plane_url=plane_url, namespace=f"vllm-{os.getpid()}-{time.time_ns()}"
    )
    async with await DistributedRuntime.connect(config) as runtime:
        made = Deployment(runtime, model, folder)
        try:
            yield made
        finally:
            await made.close()


@pytest.fixture(scope="session")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("models") / MODEL
    write(folder)
    return folder


@pytest_asyncio.fixture(scope="session", loop_scope="session")
async def deployment(
    etcd_server, nats_server, model, tmp_path_factory
) -> AsyncIterator[Deployment]:
    folder = tmp_path_factory.mktemp("workers")
    async with deployed(etcd_server.url, nats_server.url, model, folder) as made:
        yield made


@dataclass(frozen=True, slots=True)
class Trio:
    """One worker of each role, ready."""

    aggregated: Running
    prefill: Running
    decode: Running


@pytest_asyncio.fixture(scope="session", loop_scope="session")
async def trio(deployment) -> Trio:
    """Start one worker of each role: they share the machine while they load."""
    made = [
        await deployment.start("aggregated", engine=("--scheduling-policy", "priority")),
        await deployment.start("prefill"),
        await deployment.start("decode"),
    ]
    await deployment.ready(*made)
    return Trio(*made)


@pytest_asyncio.fixture(loop_scope="session")
async def nothing_sent_away(deployment):
    """Let decode workers take requests as they come, with the KV that those name."""
    store, key = deployment.runtime.store, settings_key(deployment.runtime.config.namespace)
    await store.put(key, b'{"max_local_prefill_length": 1000000}')
    await asyncio.sleep(0.5)
    yield
    await store.delete(key)
    await asyncio.sleep(0.5)


@pytest_asyncio.fixture(loop_scope="session")
async def frontend(deployment) -> AsyncIterator[openai.AsyncOpenAI]:
    """Yield the official client of a real frontend that serves the model."""
    port, config = free_port(), deployment.runtime.config
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "runtime.frontend", "--port", str(port)),
        *("--namespace", config.namespace, "--store", config.store_url),
        *("--plane", config.plane_url),
        cwd=ROOT,
    )  # fmt: skip
    url = f"http://{LOOPBACK}:{port}"
    try:
        await _until_served(url)
        async with openai.AsyncOpenAI(base_url=f"{url}/v1", api_key="-", max_retries=0) as client:
            yield client
    finally:
        process.terminate()
        await process.wait()


async def _until_served(url: str) -> None:
    async with asyncio.timeout(WAIT_SECONDS), aiohttp.ClientSession() as session:
        while True:
            try:
                async with session.get(f"{url}/health") as answer:
                    if (await answer.json()).get("models"):
                        return
            except aiohttp.ClientError:
                pass
            await asyncio.sleep(0.05)


class Requests:
    """Makes prompts that share no prefix, and asks."""

    def __init__(self) -> None:
        self._number = 0

    def make(self, tokens: int = 500, osl: int = 12, **sampling: object) -> GenerateRequest:
        self._number += 1
        number = self._number
        chosen = {"temperature": 0.0, "ignore_eos": True} | sampling
        return GenerateRequest(
            request_id=f"r{number}",
            token_ids=[3 + number, *((10 + 7 * index) % 2000 + 5 for index in range(tokens - 1))],
            sampling=Sampling(max_tokens=osl, **chosen),
        )


@pytest.fixture(scope="session")
def requests() -> Requests:
    return Requests()


async def ask(client: Client, one: GenerateRequest) -> list[TokenDelta]:
    return [delta async for delta in await client.generate(one, response_type=TokenDelta)]


@pytest.fixture(scope="session", name="ask")
def ask_() -> object:
    return ask
