"""A whole deployment from one command: it answers, scales, stops, and never leaves a process."""

import asyncio
import json
import os
import signal
import sys
import time
import uuid
from asyncio.subprocess import DEVNULL, PIPE, Process
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import aiohttp
import pytest

from connectors.circus.processes import is_alive, listener
from connectors.circus.spec import DeploymentSpec, spec_path
from planner.cli.local.view import open_fleet
from planner.core.observation import Replicas
from planner.core.role import Role
from planner.ports import Connector

pytestmark = pytest.mark.e2e

P, D = Role.PREFILL, Role.DECODE
MARK = "PLANNER_TEST_RUN"
QUICK = ("--http-port", "0", "--cold-start", "0s")


class Machine:
    """Runs the program, and finds all processes that descend from it by a variable they inherit."""

    def __init__(self, state: Path) -> None:
        self.state = state
        self._mark = f"{MARK}={uuid.uuid4().hex}"
        name, _, value = self._mark.partition("=")
        self._env = {**os.environ, name: value, "PLANNER_STATE_DIR": str(state)}

    async def start(self, *arguments: str) -> Process:
        return await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", "planner", *arguments),
            env=self._env, stdin=DEVNULL, stdout=PIPE, stderr=PIPE,
        )  # fmt: skip

    async def run(self, *arguments: str) -> tuple[int, str, str]:
        process = await self.start(*arguments)
        out, err = await asyncio.wait_for(process.communicate(), 30)
        assert process.returncode is not None
        return process.returncode, out.decode(), err.decode()

    async def status(self) -> dict[str, Any]:
        code, out, err = await self.run("status", "-o", "json")
        assert (code, err) == (0, "")
        status: dict[str, Any] = json.loads(out)
        return status

    @property
    def spec(self) -> DeploymentSpec:
        return DeploymentSpec.load(spec_path(self.state))

    def left(self) -> list[str]:
        """Return the command lines of living processes of this run."""
        mark = self._mark.encode()
        pids = [int(path.name) for path in Path("/proc").iterdir() if path.name.isdecimal()]
        return [command_line(pid) for pid in pids if mark in environment(pid) and is_alive(pid)]

    async def until_empty(self) -> None:
        try:
            await until(lambda: not self.left())
        except TimeoutError:
            pytest.fail(f"still running: {self.left()}")


def environment(pid: int) -> list[bytes]:
    try:
        return Path(f"/proc/{pid}/environ").read_bytes().split(b"\0")
    except OSError:
        return []


def command_line(pid: int) -> str:
    try:
        return Path(f"/proc/{pid}/cmdline").read_text().replace("\0", " ")
    except OSError:
        return ""


async def until(condition: Callable[[], bool | Awaitable[bool]]) -> None:
    async with asyncio.timeout(20):
        while True:
            holds = condition()
            if holds if isinstance(holds, bool) else await holds:
                return
            await asyncio.sleep(0.05)


@pytest.fixture
async def machine(tmp_path: Path) -> AsyncIterator[Machine]:
    machine = Machine(tmp_path / "state")
    yield machine
    await machine.run("stop", "--timeout", "1s")
    await machine.until_empty()


async def until_ready(serve: Process) -> str:
    """Return the line that says where the deployment answers."""
    assert serve.stdout is not None
    line = (await asyncio.wait_for(serve.stdout.readline(), 30)).decode()
    if not line.startswith("Ready in"):
        assert serve.stderr is not None
        pytest.fail(line + (await serve.stderr.read()).decode())
    return line


async def finish(serve: Process, number: int | None = signal.SIGINT) -> tuple[int, str]:
    """Send *number* and return the exit code and what was said on stderr."""
    if number is not None:
        serve.send_signal(number)
    _, err = await asyncio.wait_for(serve.communicate(), 30)
    assert serve.returncode is not None
    return serve.returncode, err.decode()


@asynccontextmanager
async def serving(machine: Machine, *arguments: str) -> AsyncIterator[Process]:
    serve = await machine.start("serve", *QUICK, *arguments)
    await until_ready(serve)
    yield serve
    if serve.returncode is None:
        await finish(serve)


async def chat(session: aiohttp.ClientSession, url: str, *, tokens: int = 16) -> int:
    """Return how many tokens a chat completion came to."""
    body = {
        "model": "simulated",
        "messages": [{"role": "user", "content": f"Tell {uuid.uuid4()} a story. " * 5}],
        "max_tokens": tokens,
        "ignore_eos": True,
    }
    async with session.post(f"{url}/v1/chat/completions", json=body) as response:
        answer = await response.json()
        assert response.status == 200, answer
        counted: int = answer["usage"]["completion_tokens"]
        return counted


async def test_one_command_serves_and_ctrl_c_ends_it_without_a_rest(machine: Machine) -> None:
    began = time.monotonic()
    async with serving(machine) as serve:
        assert time.monotonic() - began < 15
        async with aiohttp.ClientSession() as session:
            assert await chat(session, machine.spec.frontend_url) == 16
        status = await machine.status()
        code, err = await finish(serve)

    assert status["replicas"]["decode"] | {"desired": 1} == {
        "desired": 1, "requested": 1, "ready": 1, "draining": 0,
    }  # fmt: skip
    assert status["frontend"] == {
        "url": status["frontend"]["url"], "healthy": True, "models": ["simulated"],
        "in_flight": 0, "queued": 0,
    }  # fmt: skip
    assert (code, err.splitlines()[-1]) == (130, "stopped")
    assert machine.left() == []
    assert not spec_path(machine.state).exists()


async def test_the_planner_in_it_only_observes(machine: Machine) -> None:
    async with serving(machine, "--interval", "500ms"):
        await until(lambda: has_decided(machine))
        decision = (await machine.status())["last_decision"]

    assert decision["mode"] == "observes"
    assert decision["outcome"] in ("observed", "unchanged", None)


async def has_decided(machine: Machine) -> bool:
    return (await machine.status())["last_decision"] is not None


async def test_scaling_under_load_fails_no_request(machine: Machine) -> None:
    done: list[int] = []

    async def ask(session: aiohttp.ClientSession, url: str) -> None:
        while True:
            done.append(await chat(session, url, tokens=40))

    async with serving(machine, "--planner", "off"), aiohttp.ClientSession() as session:
        spec = machine.spec
        load = [asyncio.create_task(ask(session, spec.frontend_url)) for _ in range(6)]
        async with open_fleet(spec) as connector:
            await connector.scale({P: 2, D: 3})
            await until_fleet(connector, {P: Replicas(ready=2), D: Replicas(ready=3)})
            before = len(done)
            await until(lambda: len(done) > before + 12)
            await connector.scale({P: 1, D: 1})
            await until_fleet(connector, {P: Replicas(ready=1), D: Replicas(ready=1)})
        failed = [task.exception() for task in load if task.done()]
        for task in load:
            task.cancel()
        await asyncio.gather(*load, return_exceptions=True)

    assert failed == []
    assert set(done) == {40}


async def until_fleet(connector: Connector, wanted: Mapping[Role, Replicas]) -> None:
    async def is_so() -> bool:
        return await connector.fleet() == wanted

    await until(is_so)


async def test_a_detached_deployment_stays_until_it_is_stopped(machine: Machine) -> None:
    code, out, _ = await machine.run("serve", *QUICK, "--detach", "--aggregated", "1")
    assert (code, out.split()[0]) == (0, "Ready")
    assert (await machine.status())["replicas"]["aggregated"]["ready"] == 1

    assert (await machine.run("serve", *QUICK))[0] == 2
    assert (await machine.run("stop"))[0] == 0
    assert machine.left() == []
    assert (await machine.run("stop"))[0] == 0
    code, out, _ = await machine.run("status", "-o", "json")
    assert (code, json.loads(out)["running"]) == (1, False)


async def test_stopping_finishes_what_is_served(machine: Machine) -> None:
    async with serving(machine, "--planner", "off") as serve, aiohttp.ClientSession() as session:
        asked = [
            asyncio.create_task(chat(session, machine.spec.frontend_url, tokens=200))
            for _ in range(4)
        ]
        await until(lambda: serves(machine, 4))
        stopped = await machine.run("stop")
        counted = await asyncio.gather(*asked)
        code, err = await finish(serve, None)

    assert stopped == (0, "", "stopped\n")
    assert counted == [200] * 4
    assert (code, err.splitlines()[-1]) == (0, "stopped")


async def serves(machine: Machine, requests: int) -> bool:
    in_flight: int = (await machine.status())["frontend"]["in_flight"]
    return in_flight == requests


@pytest.mark.parametrize("victim", ["serve", "supervisor"])
async def test_whoever_is_killed_takes_all_along(machine: Machine, victim: str) -> None:
    async with serving(machine) as serve:
        supervisor = listener(Path(machine.spec.endpoint.removeprefix("ipc://")))
        assert supervisor is not None
        assert len(machine.left()) >= 8
        os.kill(serve.pid if victim == "serve" else supervisor, signal.SIGKILL)
        code, err = await finish(serve, None)
        await machine.until_empty()

    if victim == "supervisor":
        assert code == 1
        assert "error: the supervisor ended unexpectedly" in err


@pytest.mark.parametrize("moment", ["logs/supervisor.log", "deployment.json", "logs/frontend.log"])
async def test_ctrl_c_while_it_starts_leaves_nothing(machine: Machine, moment: str) -> None:
    serve = await machine.start("serve", "--http-port", "0")
    await until((machine.state / moment).exists)
    code, err = await finish(serve)

    assert code == 130
    assert "Traceback" not in err
    assert machine.left() == []
    assert not spec_path(machine.state).exists()


async def test_what_cannot_start_is_told_and_leaves_nothing(
    machine: Machine, tmp_path: Path
) -> None:
    (tmp_path / "broken").mkdir()
    (tmp_path / "broken" / "tokenizer.json").write_text("{}")
    code, out, err = await machine.run("serve", *QUICK, "--model", str(tmp_path / "broken"))

    assert (code, out) == (1, "")
    assert "-1 does not start: " in err
    assert "hint: see " in err
    assert machine.left() == []
