"""`planner serve --engine vllm` as a user runs it: it answers, is scaled under load, and ends."""

import asyncio
import os
import signal
import sys
import uuid
from asyncio.subprocess import DEVNULL, PIPE, Process
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import aiohttp
import openai
import pytest

from connectors.circus.spec import DeploymentSpec, spec_path
from planner.cli.control.registry import StoreRegistry
from planner.cli.local.view import open_fleet
from planner.core.observation import Replicas
from planner.core.role import Role
from planner.ports import Connector
from planner.sources.exposition import parse
from runtime.discovery.open import open_store

pytestmark = [pytest.mark.vllm, pytest.mark.asyncio(loop_scope="session")]

START_SECONDS = 400.0
MARK = "PLANNER_TEST_RUN"
ENGINE = ("--max-model-len", "2048", "--max-num-seqs", "16", "--kv-cache-memory-bytes", "16M",
          "--block-size", "32")  # fmt: skip
TOKENS = 48
PAUSE_SECONDS = 0.5


class Served:
    """The program, run in one state folder; its processes are found by a variable."""

    def __init__(self, state: Path) -> None:
        self.state = state
        self._mark = f"{MARK}={uuid.uuid4().hex}"
        name, _, value = self._mark.partition("=")
        self._environment = {**os.environ, name: value, "PLANNER_STATE_DIR": str(state)}

    @property
    def spec(self) -> DeploymentSpec:
        return DeploymentSpec.load(spec_path(self.state))

    async def start(self, *arguments: str) -> Process:
        return await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", "planner", *arguments),
            env=self._environment, stdin=DEVNULL, stdout=PIPE, stderr=PIPE,
        )  # fmt: skip

    async def page(self, role: str) -> Callable[[str], float]:
        """Return what the metrics pages of the workers of *role* come to."""
        store = await open_store(self.spec.store_url)
        registry = StoreRegistry(store, self.spec.namespace)
        try:
            urls = [one.metrics_url for one in await registry.instances() if one.role == role]
        finally:
            await registry.close()
            await store.close()
        async with aiohttp.ClientSession() as session:
            pages = [parse(await _text(session, url), "planner_worker_") for url in urls]
        return lambda name: sum(page.total(f"planner_worker_{name}") or 0.0 for page in pages)

    def pids(self) -> set[int]:
        """Return the processes that carry the mark, and those below them, whatever they carry."""
        everyone = [int(path.name) for path in Path("/proc").iterdir() if path.name.isdecimal()]
        marked = {pid for pid in everyone if self._mark.encode() in _read(pid, "environ")}
        return {pid for pid in _with_children(marked) if _is_alive(pid)}

    def logs(self) -> str:
        logs = sorted((self.state / "logs").glob("*.log"))
        return "\n".join(f"--- {log.name}\n{log.read_text()[-3000:]}" for log in logs)


async def _text(session: aiohttp.ClientSession, url: str | None) -> str:
    assert url is not None
    async with session.get(url) as response:
        return await response.text()


def _read(pid: int, name: str) -> bytes:
    try:
        return Path(f"/proc/{pid}/{name}").read_bytes()
    except OSError:
        return b""


def _with_children(pids: set[int]) -> set[int]:
    found, new = set(pids), pids
    while new:
        texts = (_read(pid, f"task/{pid}/children") for pid in new)
        new = {int(word) for text in texts for word in text.split()} - found
        found |= new
    return found


def _is_alive(pid: int) -> bool:
    return _read(pid, "stat").rpartition(b")")[2].split()[:1] not in ([], [b"Z"])


@pytest.fixture
async def served(tmp_path: Path) -> AsyncIterator[Served]:
    made = Served(tmp_path / "state")
    yield made
    sys.stdout.write(made.logs())
    for pid in made.pids():
        os.kill(pid, signal.SIGKILL)


async def _serving(served: Served, model: Path) -> Process:
    serve = await served.start(
        "serve", "--engine=vllm", f"--model={model}", "--http-port=0", "--planner=off",
        "--", *ENGINE,
    )  # fmt: skip
    assert serve.stdout is not None
    line = await asyncio.wait_for(serve.stdout.readline(), START_SECONDS)
    if not line.startswith(b"Ready in"):
        assert serve.stderr is not None
        pytest.fail((line + await serve.stderr.read()).decode())
    return serve


class Users:
    """People who ask again and again, with a pause: an engine that starts needs the cores too."""

    def __init__(self, client: openai.AsyncOpenAI) -> None:
        self._client = client
        self._tasks: list[asyncio.Task[None]] = []
        self._enough = asyncio.Event()
        self.answers: list[int] = []
        """Tokens of each answer."""

    def join(self, count: int, *, words: int) -> None:
        self._tasks += [asyncio.create_task(self._ask(words)) for _ in range(count)]

    async def answered(self, more: int) -> None:
        """Return once there are that many *more* answers; raises what went wrong."""
        wanted = len(self.answers) + more
        async with asyncio.timeout(START_SECONDS):
            while len(self.answers) < wanted:
                for task in self._tasks:
                    if task.done():
                        task.result()
                await asyncio.sleep(0.1)

    async def leave(self) -> None:
        """Return once those who are here have got their answers; raises what went wrong."""
        self._enough.set()
        await asyncio.gather(*self._tasks)
        self._enough.clear()
        self._tasks.clear()

    async def _ask(self, words: int) -> None:
        while not self._enough.is_set():
            answer = await ask(self._client, words=words)
            assert answer.usage is not None
            self.answers.append(answer.usage.completion_tokens)
            await asyncio.sleep(PAUSE_SECONDS)


async def ask(client: openai.AsyncOpenAI, *, words: int) -> Any:
    return await client.chat.completions.create(
        model="tiny",
        messages=[{"role": "user", "content": f"{uuid.uuid4()} {'tell of replicas ' * words}"}],
        max_tokens=TOKENS,
        extra_body={"ignore_eos": True},
    )


@asynccontextmanager
async def _planning(served: Served, *bounds: str) -> AsyncIterator[None]:
    """Run a planner that keeps inside *bounds*: what the load asks for depends on the machine."""
    planner = await served.start(
        "run", "--interval=1s", "--cold-start=3s", "--max=prefill=1", *bounds
    )
    try:
        yield
    finally:
        planner.send_signal(signal.SIGINT)
        _, err = await asyncio.wait_for(planner.communicate(), 30)
        sys.stdout.write(f"--- planner {bounds}\n{err.decode()[-3000:]}")


async def test_it_answers_scales_under_load_and_leaves_nothing(served: Served, model: Path) -> None:
    """From 1P1D to 1P2D and back by `planner run`, with nothing lost, and nothing left behind."""
    serve = await _serving(served, model)
    url = f"{served.spec.frontend_url}/v1"
    async with openai.AsyncOpenAI(base_url=url, api_key="-", max_retries=0) as client:
        await _ask_until_prefilled_elsewhere(served, client)
        users = Users(client)
        users.join(3, words=60)
        async with open_fleet(served.spec) as connector:
            async with _planning(served, "--min=decode=2", "--max=decode=2"):
                await _until_there_are(connector, decode=2)
            await users.answered(9)
            async with _planning(served, "--max=decode=1"):
                await _until_there_are(connector, decode=1)
            await users.answered(9)
        await users.leave()
        assert set(users.answers) == {TOKENS}

    pids = served.pids()
    serve.send_signal(signal.SIGINT)
    _, err = await asyncio.wait_for(serve.communicate(), 120)
    assert (serve.returncode, err.decode().splitlines()[-1]) == (130, "stopped")
    assert [pid for pid in pids | served.pids() if _is_alive(pid)] == []


async def _ask_until_prefilled_elsewhere(served: Served, client: openai.AsyncOpenAI) -> None:
    """Ask as often as it takes the two workers to hear of each other: once, or a few times."""
    async with asyncio.timeout(START_SECONDS):
        while not (await served.page("decode"))("kv_received_tokens_total"):
            answer = await ask(client, words=100)
            assert answer.usage.completion_tokens == TOKENS


async def _until_there_are(connector: Connector, *, decode: int) -> None:
    wanted = {Role.PREFILL: Replicas(ready=1), Role.DECODE: Replicas(ready=decode)}
    async with asyncio.timeout(START_SECONDS):
        while await connector.fleet() != wanted:  # noqa: ASYNC110 - other processes have no event
            await asyncio.sleep(0.5)
