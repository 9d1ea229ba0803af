"""A deployment of real processes, started and looked at as a user would, ended in any case."""

import asyncio
import json
import os
import signal
import sys
import time
import uuid
from asyncio.subprocess import DEVNULL, PIPE, Process
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import aiohttp
import pytest

from connectors.circus.processes import children, is_alive, listener
from connectors.circus.spec import DeploymentSpec, spec_path
from planner.core.decide import decide
from planner.core.encoding import decoded
from planner.core.policy import PolicyConfig
from planner.core.profile import Profile
from planner.core.state import PolicyState
from planner.journal import Journal, Record, Run

MARK = "PLANNER_TEST_RUN"
STEP_SECONDS = 30.0
"""For whatever takes a few seconds on a machine that does nothing else."""


TracedRequest = Mapping[str, int]


@dataclass(frozen=True, slots=True, kw_only=True)
class Load:
    """A replay under way. Its requests are dated from *began*, on this process' steady clock."""

    process: Process
    measured: Path
    began: float

    def now(self) -> float:
        """Return the seconds since it began."""
        return time.monotonic() - self.began

    async def requests(self) -> list[dict[str, Any]]:
        """Return what became of each request, once all of them have ended."""
        await asyncio.wait_for(self.process.communicate(), 2 * STEP_SECONDS)
        return [json.loads(line) for line in self.measured.read_text().splitlines()]


class Machine:
    """Runs the program, and finds all processes that descend from it by a variable they inherit."""

    quick = ("--http-port", "0", "--cold-start", "0s")
    """Flags of `serve` that let several deployments start side by side, and fast."""

    def __init__(self, state: Path) -> None:
        self.state = state
        self._mark = f"{MARK}={uuid.uuid4().hex}"
        name, _, value = self._mark.partition("=")
        self.environment = {**os.environ, name: value, "PLANNER_STATE_DIR": str(state)}

    @property
    def spec(self) -> DeploymentSpec:
        return DeploymentSpec.load(spec_path(self.state))

    @property
    def supervisor(self) -> int | None:
        return listener(Path(self.spec.endpoint.removeprefix("ipc://")))

    def processes(self) -> Mapping[str, int]:
        """Return the process ids of what the supervisor keeps, by name."""
        supervisor = self.supervisor
        assert supervisor is not None
        return {child.name: child.pid for child in children(supervisor)}

    async def start(self, *arguments: str) -> Process:
        return await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", "planner", *arguments),
            env=self.environment, stdin=DEVNULL, stdout=PIPE, stderr=PIPE,
        )  # fmt: skip

    async def run(self, *arguments: str) -> tuple[int, str, str]:
        """Return the exit code of a command, and what it said on stdout and stderr."""
        process = await self.start(*arguments)
        out, err = await asyncio.wait_for(process.communicate(), STEP_SECONDS)
        assert process.returncode is not None
        return process.returncode, out.decode(), err.decode()

    @asynccontextmanager
    async def serving(self, *arguments: str) -> AsyncIterator[Process]:
        """Yield a deployment that is ready; leaving the block interrupts it if it still runs."""
        serve = await self.start("serve", *self.quick, *arguments)
        await _until_ready(serve)
        try:
            yield serve
        finally:
            if serve.returncode is None:
                await self.finish(serve)

    async def finish(self, process: Process, number: int | None = signal.SIGINT) -> tuple[int, str]:
        """Send *number* and return the exit code and what was said on stderr."""
        if number is not None:
            process.send_signal(number)
        _, err = await asyncio.wait_for(process.communicate(), STEP_SECONDS)
        assert process.returncode is not None
        return process.returncode, err.decode()

    @asynccontextmanager
    async def loaded(self, trace: Iterable[TracedRequest], out: Path) -> AsyncIterator[Load]:
        """Yield a replay of *trace* under way; leaving the block kills it if it still runs."""
        file, measured = _written(trace, out), out / "measured.jsonl"
        process = await self.start("replay", f"--trace={file}", f"--requests-out={measured}")
        try:
            assert process.stderr is not None
            first = await asyncio.wait_for(process.stderr.readline(), STEP_SECONDS)
            assert first.startswith(b"replaying"), first + await process.stderr.read()
            yield Load(process=process, measured=measured, began=time.monotonic())
        finally:
            if process.returncode is None:
                process.kill()
                await process.communicate()

    async def status(self) -> dict[str, Any]:
        code, out, err = await self.run("status", "-o", "json")
        assert (code, err) == (0, "")
        status: dict[str, Any] = json.loads(out)
        return status

    async def chat(self, session: aiohttp.ClientSession, *, tokens: int = 16) -> int:
        """Return how many tokens a chat completion came to."""
        body = {
            "model": "simulated",
            "messages": [{"role": "user", "content": f"Tell {uuid.uuid4()} a story. " * 5}],
            "max_tokens": tokens,
            "ignore_eos": True,
        }
        url = f"{self.spec.frontend_url}/v1/chat/completions"
        async with session.post(url, json=body) as response:
            answer = await response.json()
            assert response.status == 200, answer
            counted: int = answer["usage"]["completion_tokens"]
            return counted

    async def until(self, condition: Callable[[], bool | Awaitable[bool]]) -> None:
        async with asyncio.timeout(STEP_SECONDS):
            while True:
                holds = condition()
                if holds if isinstance(holds, bool) else await holds:
                    return
                await asyncio.sleep(0.05)

    def decisions(self) -> list[Record]:
        """Return every decision in the journal, having decided each of them again.

        Each planner began with the state that the one before it ended with.
        """
        decided: list[Record] = []
        state = PolicyState()
        with Journal.read(self.state / "journal.sqlite") as journal:
            for run in journal.runs():
                assert run.initial_state == state
                recorded = list(journal.replay(run.id))
                state = _decided_again(run, recorded)
                decided += recorded
        return decided

    def left(self) -> list[str]:
        """Return the command lines of living processes of this run."""
        return [_command_line(pid) for pid in self._pids()]

    async def until_empty(self) -> None:
        try:
            await self.until(lambda: not self.left())
        except TimeoutError:
            pytest.fail(f"still running: {self.left()}")

    async def end(self) -> None:
        """Stop what runs; what does not stop is killed, and fails the test."""
        try:
            await self.run("stop", "--timeout", "1s")
            await self.until_empty()
        finally:
            for pid in self._pids():
                os.kill(pid, signal.SIGKILL)

    def _pids(self) -> list[int]:
        mark = self._mark.encode()
        pids = [int(path.name) for path in Path("/proc").iterdir() if path.name.isdecimal()]
        return [pid for pid in pids if mark in _environment(pid) and is_alive(pid)]


def _written(trace: Iterable[TracedRequest], folder: Path) -> Path:
    folder.mkdir()
    file = folder / "trace.jsonl"
    file.write_text("".join(f"{json.dumps(request)}\n" for request in trace))
    return file


def _decided_again(run: Run, recorded: Iterable[Record]) -> PolicyState:
    """Return the state that *run* ended with."""
    assert isinstance(run.config, dict)
    config = decoded(PolicyConfig, run.config["policy"])
    profile = Profile.from_dict(run.config["profile"])
    state = run.initial_state
    for record in recorded:
        if record.entry.observation is not None:
            state, plan = decide(config, profile, state, record.entry.observation)
            assert plan == record.entry.plan
    return state


def _environment(pid: int) -> list[bytes]:
    try:
        return Path(f"/proc/{pid}/environ").read_bytes().split(b"\0")
    except OSError:
        return []


def _command_line(pid: int) -> str:
    try:
        return Path(f"/proc/{pid}/cmdline").read_text().replace("\0", " ")
    except OSError:
        return ""


async def _until_ready(serve: Process) -> None:
    assert serve.stdout is not None
    line = (await asyncio.wait_for(serve.stdout.readline(), STEP_SECONDS)).decode()
    if not line.startswith("Ready in"):
        assert serve.stderr is not None
        pytest.fail(line + (await serve.stderr.read()).decode())


@pytest.fixture
async def machine(tmp_path: Path) -> AsyncIterator[Machine]:
    machine = Machine(tmp_path / "state")
    yield machine
    await machine.end()
