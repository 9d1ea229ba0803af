"""The official client against real processes: etcd, NATS, simulated workers and a frontend."""

import asyncio
import signal
import sys
from asyncio.subprocess import PIPE, Process
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from pathlib import Path

import aiohttp
import openai
import pytest

from runtime.servers import LOOPBACK, free_port

pytestmark = pytest.mark.e2e

ROOT = Path(__file__).parents[2]
PROFILE = ROOT / "planner/profiles/llama-3.1-8b-fp8-h200.json"
MODEL_FOLDER = ROOT / "workers/simulated/model"
MODEL = "sim/model"
MESSAGES = [{"role": "user", "content": "Tell me about replicas."}]
READY_SECONDS = 20.0


class Processes:
    """The processes of one deployment, in a namespace of their own."""

    def __init__(self, namespace: str, *, etcd: str, nats: str) -> None:
        self.port = free_port()
        self.url = f"http://{LOOPBACK}:{self.port}"
        self._common = ["--namespace", namespace, "--store", etcd, "--plane", nats]
        self.running: list[Process] = []

    async def start(self, module: str, *options: str) -> Process:
        command = [sys.executable, "-m", module, *self._common, *options]
        tied = [sys.executable, "-m", "runtime.process", "--", *command]
        process = await asyncio.create_subprocess_exec(*tied, cwd=ROOT, stderr=PIPE)
        self.running.append(process)
        return process

    async def frontend(self, *options: str) -> Process:
        return await self.start("runtime.frontend", "--port", str(self.port), *options)

    async def worker(self, name: str) -> Process:
        return await self.start(
            "workers.simulated", "--role", "aggregated", "--name", name,
            "--model", str(MODEL_FOLDER), "--model-name", MODEL, "--profile", str(PROFILE),
        )  # fmt: skip

    async def health(self) -> dict[str, object]:
        async with aiohttp.ClientSession(self.url) as session, session.get("/health") as answer:
            page: dict[str, object] = await answer.json()
            return page

    async def ready(self, instances: int) -> None:
        async with asyncio.timeout(READY_SECONDS):
            while await self._instances() != instances:  # noqa: ASYNC110 - another process
                await asyncio.sleep(0.05)

    async def stop(self) -> None:
        for process in self.running:
            if process.returncode is None:
                process.kill()
        for process in self.running:
            await process.communicate()

    async def _instances(self) -> int:
        try:
            models = (await self.health())["models"]
        except aiohttp.ClientError:
            return -1
        assert isinstance(models, list)
        return sum(model["instances"] for model in models)


@pytest.fixture
async def processes(etcd_server, nats_server, request) -> AsyncIterator[Processes]:
    namespace = f"frontend-{abs(hash(request.node.name)):x}"
    processes = Processes(namespace, etcd=etcd_server.url, nats=nats_server.url)
    async with AsyncExitStack() as closing:
        closing.push_async_callback(processes.stop)
        yield processes


@pytest.fixture
async def client(processes) -> AsyncIterator[openai.AsyncOpenAI]:
    url = f"{processes.url}/v1"
    async with openai.AsyncOpenAI(base_url=url, api_key="none", max_retries=0) as client:
        yield client


async def say(client, *, max_tokens):
    stream = await client.chat.completions.create(
        model=MODEL,
        messages=MESSAGES,
        stream=True,
        stream_options={"include_usage": True},
        max_tokens=max_tokens,
        extra_body={"ignore_eos": True},
    )
    async for chunk in stream:
        yield chunk


async def test_a_stream_survives_the_death_of_its_worker(processes, client):
    await processes.frontend()
    await processes.ready(0)  # it starts without any worker
    first = await processes.worker("aggregated-0")
    await processes.ready(1)
    whole = [chunk async for chunk in say(client, max_tokens=150)]
    text = "".join(chunk.choices[0].delta.content or "" for chunk in whole[:-1])
    assert text.strip()
    assert whole[-1].usage.completion_tokens == 150

    pieces = say(client, max_tokens=150)
    seen = [await anext(pieces) for _ in range(20)]
    await processes.worker("aggregated-1")
    first.kill()
    seen += [chunk async for chunk in pieces]
    assert "".join(chunk.choices[0].delta.content or "" for chunk in seen[:-1]) == text
    assert seen[-1].usage.completion_tokens == 150


async def test_sigterm_lets_a_stream_finish(processes, client):
    frontend = await processes.frontend()
    await processes.worker("aggregated-0")
    await processes.ready(1)
    pieces = say(client, max_tokens=100)
    seen = [await anext(pieces)]
    frontend.send_signal(signal.SIGTERM)
    seen += [chunk async for chunk in pieces]
    assert seen[-1].usage.completion_tokens == 100
    async with asyncio.timeout(5):
        assert await frontend.wait() == 0
    with pytest.raises(openai.APIConnectionError):
        await client.models.list()


async def test_without_workers_models_are_unknown_and_a_taken_port_is_one_line(processes, client):
    await processes.frontend()
    await processes.ready(0)
    assert (await processes.health())["status"] == "waiting for workers"
    with pytest.raises(openai.NotFoundError):
        await client.chat.completions.create(model=MODEL, messages=MESSAGES)
    second = await processes.frontend()
    _, told = await second.communicate()
    assert second.returncode == 2
    assert told.decode() == f"error: cannot listen on {LOOPBACK}:{processes.port}: " + (
        "Address already in use\n"
    )


async def test_a_store_that_is_away_is_one_line(processes):
    away = await processes.start(
        "runtime.frontend", "--store", f"etcd://{LOOPBACK}:{free_port()}", "--port", "0"
    )
    _, told = await away.communicate()
    assert away.returncode == 1
    assert told.decode().splitlines()[-1].startswith("error: ")
    assert "Traceback" not in told.decode()
