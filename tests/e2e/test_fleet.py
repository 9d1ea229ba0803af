"""`planner run --fleet`: servers of another make, started, listed for their senders, and ended."""

import asyncio
import contextlib
import json
import os
import re
import signal
import socket
import sys
from collections.abc import Callable
from pathlib import Path
from urllib.request import Request, urlopen

import pytest

from connectors.circus.client import CircusClient
from connectors.circus.processes import children, is_alive
from connectors.circus.spec import DeploymentSpec, spec_path

pytestmark = pytest.mark.e2e

SERVER = Path(__file__).with_name("standin_server.py")
FLAGS = ("--sla=ttft=250ms", "--mode=load", "--interval=300ms")


def free_ports(count: int) -> int:
    """Return the first of *count* ports in a row that are free."""
    for first in range(21_000 + os.getpid() % 7000, 32_000, 10):
        try:
            for port in range(first, first + count):
                with socket.socket() as probe:
                    probe.bind(("127.0.0.1", port))
        except OSError:
            continue
        return first
    raise AssertionError("no free ports")


class Fleet:
    """A fleet of stand-ins in *folder*, and the planners that are run on it."""

    def __init__(self, folder: Path) -> None:
        self.state = folder / "state"
        self.port = free_ports(3)
        self.file = folder / "fleet.toml"
        self.file.write_text(
            f'drain = "20s"\nnotice = "300ms"\n[roles.aggregated]\nfirst_port = {self.port}\n'
            f'command = ["{sys.executable}", "{SERVER}", "{{port}}"]\n'
        )

    async def planner(self, *arguments: str) -> asyncio.subprocess.Process:
        return await asyncio.create_subprocess_exec(
            sys.executable, "-m", "planner", *arguments,
            stderr=asyncio.subprocess.PIPE, stdout=asyncio.subprocess.DEVNULL,
            env={**os.environ, "PLANNER_STATE_DIR": str(self.state)},
        )  # fmt: skip

    async def run(self, *flags: str) -> asyncio.subprocess.Process:
        return await self.planner("run", f"--fleet={self.file}", *FLAGS, *flags)

    async def ended(self, *arguments: str) -> tuple[int, str]:
        process = await self.planner(*arguments)
        _, err = await asyncio.wait_for(process.communicate(), 30)
        assert process.returncode is not None
        return process.returncode, err.decode()

    def ready(self) -> list[int]:
        """Return the places in the row of the servers that are listed, from 1."""
        path = self.state / "servers.json"
        urls = json.loads(path.read_text())["servers"]["aggregated"] if path.exists() else []
        return [int(url.rpartition(":")[2]) - self.port + 1 for url in urls]

    def hold(self, number: int, *, running: int, waiting: int = 0) -> None:
        url = f"http://127.0.0.1:{self.port + number - 1}/load"
        body = json.dumps({"running": running, "waiting": waiting}).encode()
        urlopen(Request(url, body, method="POST"), timeout=5).close()

    def release(self, *numbers: int) -> None:
        """Let servers have nothing inside; those that are gone have nothing either."""
        for number in numbers:
            with contextlib.suppress(OSError):
                self.hold(number, running=0)

    async def status(self) -> str:
        process = await asyncio.create_subprocess_exec(
            sys.executable, "-m", "planner", "status",
            stdout=asyncio.subprocess.PIPE,
            env={**os.environ, "PLANNER_STATE_DIR": str(self.state)},
        )  # fmt: skip
        out, _ = await asyncio.wait_for(process.communicate(), 30)
        return out.decode()

    def log(self, number: int) -> str:
        return (self.state / "logs" / f"aggregated-{number}.log").read_text()


async def until(condition: Callable[[], bool], seconds: float = 20) -> None:
    async with asyncio.timeout(seconds):
        while not condition():  # noqa: ASYNC110 - of other processes
            await asyncio.sleep(0.05)


async def stopped(process: asyncio.subprocess.Process) -> str:
    process.send_signal(signal.SIGINT)
    _, err = await asyncio.wait_for(process.communicate(), 20)
    return err.decode()


async def test_a_fleet_grows_shrinks_and_ends(tmp_path: Path) -> None:
    fleet = Fleet(tmp_path)
    code, err = await fleet.ended("run", "--observe", f"--fleet={fleet.file}", *FLAGS)
    assert (code, "no fleet runs in" in err) == (2, True)

    planner = await fleet.run("--min=aggregated=2", "--max=aggregated=3")
    try:
        await until(lambda: fleet.ready() == [1, 2])
        code, err = await fleet.ended("run", f"--fleet={fleet.file}", *FLAGS)
        assert (code, "another planner acts on the fleet" in err) == (2, True)
        fleet.hold(1, running=10, waiting=20)
        await until(lambda: fleet.ready() == [1, 2, 3])
        err = await stopped(planner)
        assert "planner ACTS on the fleet of" in err
        assert "planner ended; replicas stay as they are: aggregated 3" in err

        # The one with least inside goes: out of the list at once, and ended once it is idle.
        fleet.hold(1, running=3)
        fleet.hold(2, running=1)
        fleet.hold(3, running=3)
        planner = await fleet.run("--min=aggregated=2", "--max=aggregated=2")
        await until(lambda: fleet.ready() == [1, 3])
        await asyncio.sleep(1)
        assert fleet.log(2) == ""
        fleet.hold(2, running=0)
        await until(lambda: fleet.log(2) == "left idle\n")
        err = await stopped(planner)
        assert "turn failed" not in err
        code, err = await fleet.ended("run", *FLAGS)
        assert (code, "was started from a description" in err) == (2, True)
    finally:
        if planner.returncode is None:
            await stopped(planner)
        fleet.release(1, 3)
        code, _ = await fleet.ended("stop")
    assert code == 0
    assert {fleet.log(1), fleet.log(3)} == {"left idle\n"}


async def test_a_stop_ends_the_planner_and_sees_the_servers_out(tmp_path: Path) -> None:
    fleet = Fleet(tmp_path)
    planner = await fleet.run("--min=aggregated=2")
    try:
        await until(lambda: fleet.ready() == [1, 2])
        fleet.hold(1, running=1)
        out = await fleet.status()
        assert "Servers to send to: aggregated http://127.0.0.1:" in out
        assert re.search(r"^aggregated +2 +2 +2 +0 +0 ", out, re.MULTILINE)
        stop = await fleet.planner("stop")
        await until(lambda: fleet.log(2) == "left idle\n")
        assert fleet.log(1) == ""
        assert fleet.ready() == []
        fleet.release(1)
        _, err = await asyncio.wait_for(stop.communicate(), 20)
        assert (stop.returncode, await planner.wait()) == (0, 0)
        assert b"ended the planner that acted on this fleet" in err
    finally:
        if planner.returncode is None:
            await stopped(planner)
        await fleet.ended("stop")
    assert fleet.log(1) == "left idle\n"
    assert not (fleet.state / "deployment.json").exists()
    assert not (fleet.state / "servers.json").exists()


async def test_one_that_a_planner_left_on_its_way_out_is_seen_out_by_the_next(
    tmp_path: Path,
) -> None:
    fleet = Fleet(tmp_path)
    planner = await fleet.run("--min=aggregated=2", "--max=aggregated=2")
    try:
        await until(lambda: fleet.ready() == [1, 2])
        fleet.hold(1, running=2)
        fleet.hold(2, running=1)
        await stopped(planner)
        planner = await fleet.run("--max=aggregated=1")
        await until(lambda: fleet.ready() == [1])
        await stopped(planner)
        fleet.hold(2, running=0)
        code, _ = await fleet.ended("run", "--observe", "--once", f"--fleet={fleet.file}", *FLAGS)
        assert (code, fleet.log(2)) == (0, "")
        planner = await fleet.run("--max=aggregated=1")
        await until(lambda: fleet.log(2) == "left idle\n")
    finally:
        if planner.returncode is None:
            await stopped(planner)
        fleet.release(1, 2)
        await fleet.ended("stop")


async def test_servers_end_with_their_supervisor(tmp_path: Path) -> None:
    fleet = Fleet(tmp_path)
    planner = await fleet.run("--max=aggregated=1")
    try:
        await until(lambda: fleet.ready() == [1])
        (server,) = children(supervisor(fleet))
        os.kill(supervisor(fleet), signal.SIGKILL)
        await until(lambda: not is_alive(server.pid))
        assert fleet.log(1) == "left idle\n"
    finally:
        err = await stopped(planner)
        await fleet.ended("stop")
    assert "turn failed" not in err


def supervisor(fleet: Fleet) -> int:
    client = CircusClient(DeploymentSpec.load(spec_path(fleet.state)).endpoint)
    try:
        return client.pid()
    finally:
        client.close()
