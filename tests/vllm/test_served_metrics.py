"""`vllm serve` as planner sees it: every name in its table is one that the real server tells."""

import asyncio
import importlib.util
import os
import sys
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from pathlib import Path

import aiohttp
import pytest

from planner.core.role import Role
from planner.core.sla import Sla
from planner.sources.engines import ENGINES, recognised
from planner.sources.engines.names import EngineKind
from planner.sources.exposition import parse
from planner.sources.readings import counted, gauges
from planner.sources.server_pages import ServerPages
from planner.sources.servers import ListedServers, ServersSource
from runtime.servers import free_port
from workers.vllm.make_model import write

pytestmark = [
    pytest.mark.vllm,
    pytest.mark.skipif(importlib.util.find_spec("vllm") is None, reason="vLLM is not installed"),
]

NAMES = ENGINES[EngineKind.VLLM]
READY_SECONDS = 180
# One process less than without the first; the others keep it local, quiet and quick to start.
ENVIRONMENT = {
    "VLLM_ENABLE_V1_MULTIPROCESSING": "0", "TORCH_COMPILE_DISABLE": "1", "OMP_NUM_THREADS": "1",
    "HF_HUB_OFFLINE": "1", "TRANSFORMERS_OFFLINE": "1", "VLLM_NO_USAGE_STATS": "1",
    "DO_NOT_TRACK": "1", "VLLM_HOST_IP": "127.0.0.1", "GLOO_SOCKET_IFNAME": "lo",
}  # fmt: skip


@asynccontextmanager
async def vllm_serving(folder: Path) -> AsyncIterator[str]:
    """Yield the URL of a vLLM server with a tiny model, ready."""
    model, port = folder / "model", free_port()
    write(model)
    command = [
        "-m", "vllm.entrypoints.openai.api_server", "--model", str(model),
        "--served-model-name", "tiny", "--host", "127.0.0.1", "--port", str(port),
        "--max-model-len", "1024", "--max-num-seqs", "4",
        "--kv-cache-memory-bytes", "64M", "--enforce-eager",
    ]  # fmt: skip
    with (folder / "server.log").open("wb") as log:
        server = await asyncio.create_subprocess_exec(
            sys.executable, *command, stdout=log, stderr=log,
            env={**os.environ, **ENVIRONMENT, "VLLM_CACHE_ROOT": str(folder)},
        )  # fmt: skip
    url = f"http://127.0.0.1:{port}"
    try:
        async with asyncio.timeout(READY_SECONDS):
            while not await healthy(url):
                assert server.returncode is None, (folder / "server.log").read_text()[-3000:]
                await asyncio.sleep(0.5)
        yield url
    finally:
        if server.returncode is None:
            server.terminate()
        await server.wait()


async def healthy(url: str) -> bool:
    try:
        async with aiohttp.ClientSession() as session, session.get(f"{url}/health") as answer:
            return answer.status == 200
    except aiohttp.ClientError:
        return False


async def ask(url: str, prompt: list[int], tokens: int) -> None:
    body = {"model": "tiny", "prompt": prompt, "max_tokens": tokens, "ignore_eos": True}
    async with (
        aiohttp.ClientSession(raise_for_status=True) as session,
        session.post(f"{url}/v1/completions", json=body) as answer,
    ):
        await answer.read()


async def start_and_leave(url: str) -> None:
    """Ask for a long answer, and close the connection after its first piece."""
    body = {"model": "tiny", "prompt": [9] * 50, "max_tokens": 900, "ignore_eos": True}
    async with (
        aiohttp.ClientSession(raise_for_status=True) as session,
        session.post(f"{url}/v1/completions", json={**body, "stream": True}) as answer,
    ):
        await answer.content.readany()
        answer.close()


async def page_of(url: str) -> str:
    async with aiohttp.ClientSession() as session, session.get(f"{url}/metrics") as answer:
        return await answer.text()


def told(text: str) -> Mapping[str, object]:
    """Return everything that planner reads of a page, by its own names."""
    page = parse(text, NAMES.prefix, histograms=NAMES.histograms)
    figures = (counted(page, NAMES), gauges(page, NAMES))
    fields = {name: getattr(one, name) for one in figures for name in one.__slots__}
    return {**fields, "inside": gauges(page, NAMES).inside}


async def test_a_real_server_tells_all_that_is_read_of_it(tmp_path: Path) -> None:
    async with vllm_serving(tmp_path) as url:
        await ask(url, list(range(5, 105)), 8)  # a first prompt of some length warms it up
        text = await page_of(url)
        assert recognised(text) is NAMES
        names = {line.partition("{")[0] for line in text.splitlines()}
        assert not NAMES.counters - names
        assert not {name for name, figure in told(text).items() if figure is None}
        await observed(url)


async def observed(url: str) -> None:
    """Assert that what is sent between two looks is what is seen."""
    loop, lengths = asyncio.get_running_loop(), [8, 30, 300, 300, 700]
    source = ServersSource(
        ListedServers({Role.AGGREGATED: [url]}),
        ServerPages(timeout=5.0),
        clock=loop.time,
        sla=Sla.parse("ttft=10s,itl=1s"),
    )
    try:
        fleet = await source.replicas()
        assert fleet[Role.AGGREGATED].ready == 1
        assert (await source.observe(fleet, now=loop.time())).traffic is None
        await asyncio.gather(*(ask(url, [7 + n % 90] * n, 20) for n in lengths))
        await start_and_leave(url)
        while told(await page_of(url))["inside"]:  # noqa: ASYNC110 - of another process
            await asyncio.sleep(0.1)
        seen = await source.observe(fleet, now=loop.time())
    finally:
        await source.close()
    traffic, load = seen.traffic, seen.load[Role.AGGREGATED]
    assert traffic is not None
    assert (traffic.arrived, traffic.finished, traffic.failed) == (6, 5, 0)
    assert traffic.isl_sum / 6 == pytest.approx(sum(lengths) / 5)
    squares = sum(n * n for n in lengths)
    assert traffic.isl_squared_sum / 6 == pytest.approx(squares / 5, rel=0.3)
    assert (traffic.osl_sum, traffic.within_sla) == (100, 5)
    assert (traffic.ttft_count, traffic.itl_count) == (6, 5)
    assert (load.running, load.waiting, seen.in_flight) == (0, 0, 0)
