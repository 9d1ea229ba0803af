"""Documents that begin with nothing work as they are written, command by command."""

import asyncio
import os
import re
import signal
import sys
from asyncio.subprocess import DEVNULL, PIPE, Process
from pathlib import Path

import pytest

pytestmark = pytest.mark.e2e

DOCS = Path(__file__).parents[2] / "docs"
TIMEOUT = 40.0


def commands(document: str) -> list[str]:
    """Return the commands in the blocks of *document*, as they follow each other."""
    blocks = re.findall(r"```\n(.*?)```", (DOCS / document).read_text(), re.DOTALL)
    lines = [line for block in blocks for line in block.splitlines()]
    return [line for line in lines if re.match(r"(planner|echo) ", line)]


def hurried(command: str) -> str:
    """Return *command* so that it needs neither a fixed port nor a minute; the last flag wins."""
    if "planner serve" in command:
        return f"{command} --http-port 0 --cold-start 0s"
    if "planner replay" not in command:
        return command
    return f"{command} --duration 4s" + (" --period 4s" if "--swing" in command else "")


async def started(command: str, environment: dict[str, str]) -> Process:
    scripts = f"{Path(sys.executable).parent}{os.pathsep}{environment['PATH']}"
    return await asyncio.create_subprocess_shell(
        f"exec {command}" if command.startswith("planner") else command,
        env={**environment, "PATH": scripts}, stdin=DEVNULL, stdout=PIPE, stderr=PIPE,
    )  # fmt: skip


async def finished(process: Process) -> tuple[str, str]:
    """Return what *process* said on stdout and stderr; it has to end well."""
    out, err = await asyncio.wait_for(process.communicate(), TIMEOUT)
    assert process.returncode == 0, err.decode()
    return out.decode(), err.decode()


async def run_in_order(machine, document: str) -> dict[str, str]:
    """Run every command of *document*; return what the last of each name said."""
    said: dict[str, str] = {}
    acting = None
    for command in commands(document):
        if acting is not None and command == "planner stop":
            acting.send_signal(signal.SIGINT)
            said["run"] = (await finished(acting))[1]
            acting = None
        process = await started(hurried(command), machine.environment)
        if command.startswith("planner run "):
            acting = process
            continue
        out, err = await finished(process)
        said[re.search(r"planner (\w+)", command)[1]] = out or err
        if command.startswith("planner plan"):
            await machine.until(lambda: len(machine.decisions()) > 1)
    return said


async def test_the_quickstart_in_order(machine) -> None:
    said = await run_in_order(machine, "quickstart.md")
    assert "0 failed" in said["replay"]
    assert "Nothing was changed" in said["plan"]
    assert re.search(r"^prefill +\S+ +1 +1 +0 +0 ", said["status"], re.MULTILINE)
    assert said["explain"].startswith("cold_start: ")
    assert "PLANNER_STATE_DIR" in said["config"]
    assert "planner ACTS on planner" in said["run"]
    assert "the target of 99% is met" in said["simulate"]
    assert "predicted attainment" in said["size"]
    assert said["stop"] == "stopped\n"
    assert machine.left() == []


async def test_the_way_from_observing_to_acting(machine) -> None:
    said = await run_in_order(machine, "guides/apply.md")
    assert "0 failed" in said["replay"]
    assert "of 4, predicted attainment" in said["plan"]
    assert "planner ACTS on planner" in said["run"]
    assert "replicas stay as they are" in said["run"]
    assert "serves simulated" in said["status"]
    assert said["stop"] == "stopped\n"
    assert machine.left() == []
