"""Static mode serves models: a frontend and workers that share a file of addresses, and no etcd."""

import asyncio
import json
import sys
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path

import aiohttp
import msgspec
import pytest

from runtime.servers import free_port, wait_port
from workers.card import read_card

pytestmark = pytest.mark.e2e

MODEL = Path(__file__).parents[2] / "workers/simulated/model"
PROFILE = Path(__file__).parents[2] / "planner/profiles/llama-3.1-8b-fp8-h200.json"
IDS = {"frontend": 1, "prefill": 2, "decode": 3}
ENDPOINTS = {"frontend": "http", "prefill": "prefill", "decode": "generate"}


@pytest.fixture
def namespace(tmp_path: Path) -> str:
    return f"static-{free_port()}"  # the server is shared with other tests


@pytest.fixture
def addresses(tmp_path: Path, namespace: str, nats_server) -> list[str]:
    card = msgspec.to_builtins(read_card(MODEL, name="simulated"))
    at = {"namespace": namespace}
    deployment = {
        "instances": [
            {**at, "component": name, "endpoint": ENDPOINTS[name], "instance_id": number}
            for name, number in IDS.items()
        ],
        "models": [{**at, **card, "component": "decode", "endpoint": "generate"}],
    }
    path = tmp_path / "static.json"
    path.write_text(json.dumps(deployment))
    return ["--store", f"static:{path}", "--plane", nats_server.url, "--namespace", namespace]


@asynccontextmanager
async def process(module: str, *arguments: str) -> AsyncIterator[asyncio.subprocess.Process]:
    started = await asyncio.create_subprocess_exec(sys.executable, "-m", module, *arguments)
    try:
        yield started
    finally:
        started.terminate()
        assert await asyncio.wait_for(started.wait(), 20) == 0


async def test_a_frontend_and_two_workers_answer_without_etcd(addresses):
    port = free_port()
    simulated = ["--model", str(MODEL), "--model-name", "simulated", "--profile", str(PROFILE)]
    async with AsyncExitStack() as stack:
        for role in ("prefill", "decode"):
            own = ["--role", role, "--name", f"{role}-1", "--instance-id", str(IDS[role])]
            await stack.enter_async_context(
                process("workers.simulated", *addresses, *simulated, *own)
            )
        own = ["--port", str(port), "--instance-id", str(IDS["frontend"])]
        await stack.enter_async_context(process("runtime.frontend", *addresses, *own))
        await wait_port("127.0.0.1", port, 15)
        answer = await completion(f"http://127.0.0.1:{port}", words=400)
        assert answer["usage"]["completion_tokens"] == 8


async def completion(url: str, *, words: int) -> dict:
    body = {
        "model": "simulated",
        "prompt": "harbour " * words,
        "max_tokens": 8,
        "ignore_eos": True,
    }
    async with aiohttp.ClientSession() as session:
        for _ in range(100):  # listed instances may still be starting
            async with session.post(f"{url}/v1/completions", json=body) as response:
                if response.status == 200:
                    return await response.json()
            await asyncio.sleep(0.1)
    raise AssertionError(await response.text())
