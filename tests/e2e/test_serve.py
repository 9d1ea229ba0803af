"""A whole deployment from one command: it answers, scales, stops, and never leaves a process."""

import asyncio
import json
import os
import signal
import time
from collections.abc import Awaitable, Callable, Mapping
from pathlib import Path

import aiohttp
import pytest

from connectors.circus.spec import spec_path
from planner.cli.local.view import open_fleet
from planner.core.observation import Replicas
from planner.core.role import Role
from planner.ports import Connector

pytestmark = pytest.mark.e2e

P, D = Role.PREFILL, Role.DECODE


async def test_one_command_serves_and_ctrl_c_ends_it_without_a_rest(machine) -> None:
    began = time.monotonic()
    async with machine.serving() as serve:
        assert time.monotonic() - began < 15
        async with aiohttp.ClientSession() as session:
            assert await machine.chat(session) == 16
        status = await machine.status()
        code, err = await machine.finish(serve)

    expected = {"requested": 1, "ready": 1, "starting": 0, "draining": 0}
    assert status["replicas"]["decode"].items() >= expected.items()
    assert status["frontend"] == {
        "url": status["frontend"]["url"], "healthy": True, "models": ["simulated"],
        "in_flight": 0, "queued": 0,
    }  # fmt: skip
    assert (code, err.splitlines()[-1]) == (130, "stopped")
    assert machine.left() == []
    assert not spec_path(machine.state).exists()


async def test_the_planner_in_it_only_observes(machine) -> None:
    async with machine.serving("--interval", "500ms"):
        await machine.until(lambda: has_decided(machine))
        decision = (await machine.status())["last_decision"]

    assert decision["mode"] == "observes"
    assert decision["outcome"] in ("observed", "unchanged", None)


async def has_decided(machine) -> bool:
    return (await machine.status())["last_decision"] is not None


async def test_scaling_under_load_fails_no_request(machine) -> None:
    done: list[int] = []

    async def ask(session: aiohttp.ClientSession) -> None:
        while True:
            done.append(await machine.chat(session, tokens=40))

    async with machine.serving("--planner", "off"), aiohttp.ClientSession() as session:
        load = [asyncio.create_task(ask(session)) for _ in range(6)]
        async with open_fleet(machine.spec) as connector:
            await connector.scale({P: 2, D: 3})
            await machine.until(is_fleet(connector, {P: Replicas(ready=2), D: Replicas(ready=3)}))
            before = len(done)
            await machine.until(lambda: len(done) > before + 12)
            await connector.scale({P: 1, D: 1})
            await machine.until(is_fleet(connector, {P: Replicas(ready=1), D: Replicas(ready=1)}))
        failed = [task.exception() for task in load if task.done()]
        for task in load:
            task.cancel()
        await asyncio.gather(*load, return_exceptions=True)

    assert failed == []
    assert set(done) == {40}


def is_fleet(
    connector: Connector, wanted: Mapping[Role, Replicas]
) -> Callable[[], Awaitable[bool]]:
    async def is_so() -> bool:
        return await connector.fleet() == wanted

    return is_so


async def test_a_detached_deployment_stays_until_it_is_stopped(machine) -> None:
    code, out, _ = await machine.run("serve", *machine.quick, "--detach", "--aggregated", "1")
    assert (code, out.split()[0]) == (0, "Ready")
    assert (await machine.status())["replicas"]["aggregated"]["ready"] == 1

    assert (await machine.run("serve", *machine.quick))[0] == 2
    assert (await machine.run("stop"))[0] == 0
    assert machine.left() == []
    assert (await machine.run("stop"))[0] == 0
    code, out, _ = await machine.run("status", "-o", "json")
    assert (code, json.loads(out)["running"]) == (1, False)


async def test_stopping_finishes_what_is_served(machine) -> None:
    async with machine.serving("--planner", "off") as serve, aiohttp.ClientSession() as session:
        asked = [asyncio.create_task(machine.chat(session, tokens=200)) for _ in range(4)]
        await machine.until(lambda: serves(machine, 4))
        stopped = await machine.run("stop")
        counted = await asyncio.gather(*asked)
        code, err = await machine.finish(serve, None)

    assert stopped == (0, "", "stopped\n")
    assert counted == [200] * 4
    assert (code, err.splitlines()[-1]) == (0, "stopped")


async def serves(machine, requests: int) -> bool:
    in_flight: int = (await machine.status())["frontend"]["in_flight"]
    return in_flight == requests


@pytest.mark.parametrize("victim", ["serve", "supervisor"])
async def test_whoever_is_killed_takes_all_along(machine, victim: str) -> None:
    async with machine.serving() as serve:
        supervisor = machine.supervisor
        assert supervisor is not None
        assert len(machine.left()) >= 8
        os.kill(serve.pid if victim == "serve" else supervisor, signal.SIGKILL)
        code, err = await machine.finish(serve, None)
        await machine.until_empty()

    if victim == "supervisor":
        assert code == 1
        assert "error: the supervisor ended unexpectedly" in err


@pytest.mark.parametrize("moment", ["logs/supervisor.log", "deployment.json", "logs/frontend.log"])
async def test_ctrl_c_while_it_starts_leaves_nothing(machine, moment: str) -> None:
    serve = await machine.start("serve", "--http-port", "0")
    await machine.until((machine.state / moment).exists)
    code, err = await machine.finish(serve)

    assert code == 130
    assert "Traceback" not in err
    assert machine.left() == []
    assert not spec_path(machine.state).exists()


async def test_what_cannot_start_is_told_and_leaves_nothing(machine, tmp_path: Path) -> None:
    (tmp_path / "broken").mkdir()
    (tmp_path / "broken" / "tokenizer.json").write_text("{}")
    code, out, err = await machine.run("serve", *machine.quick, "--model", str(tmp_path / "broken"))

    assert (code, out) == (1, "")
    assert "-1 does not start: " in err
    assert "hint: see " in err
    assert machine.left() == []
