"""Two planners for one deployment on this machine: one acts, and the other one after its death."""

import asyncio
import time
from asyncio.subprocess import Process
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import aiohttp
import pytest

from planner.cli.local.view import open_fleet
from planner.core.role import Role
from planner.journal import Journal, Query, Record

pytestmark = pytest.mark.e2e

D = Role.DECODE
FLAGS = ("run", "--mode=load", "--interval=500ms", "--cold-start=1s", "--stabilization=2s",
         "--kv-usage=0.01%", "--max=decode=3", "--max=prefill=1")  # fmt: skip
LEASE_SECONDS = 10.0


def decided(journal: Path) -> list[Record]:
    """Return what the planner with *journal* has decided, newest first."""
    if not journal.exists():
        return []
    with Journal.read(journal) as opened:
        return opened.query(Query(limit=1000))


def acted(journal: Path) -> bool:
    return any(one.entry.outcome == "applied" for one in decided(journal))


@asynccontextmanager
async def asking(machine, requests: int) -> AsyncIterator[None]:
    """Keep so many requests under way for as long as the block runs."""

    async def ask(session: aiohttp.ClientSession) -> None:
        while True:
            await machine.chat(session, tokens=100)

    async with aiohttp.ClientSession() as session:
        tasks = [asyncio.create_task(ask(session)) for _ in range(requests)]
        try:
            yield
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)


@asynccontextmanager
async def planning(machine, journals: list[Path]) -> AsyncIterator[dict[Path, Process]]:
    """Start a planner for each of *journals*; they are killed with the block."""
    running: dict[Path, Process] = {}
    try:
        for path in journals:
            running[path] = await machine.start(*FLAGS, f"--journal={path}")
        for path in journals:
            await machine.until(lambda path=path: len(decided(path)) > 2)
        yield running
    finally:
        for process in running.values():
            if process.returncode is None:
                process.kill()
            await process.communicate()


async def test_the_second_goes_on_without_a_shrink_when_the_first_is_killed(
    machine, tmp_path: Path
) -> None:
    journals = [tmp_path / "one.sqlite", tmp_path / "two.sqlite"]
    async with machine.serving("--planner", "off"), open_fleet(machine.spec) as connector:

        async def count() -> int:
            return (await connector.fleet())[D].current

        async def is_full() -> bool:
            return await count() == 3

        async with planning(machine, journals) as running:
            async with asking(machine, 24):
                await machine.until(is_full)
                (first,) = filter(acted, journals)
                (second,) = set(journals) - {first}
                running[first].kill()
                over = time.monotonic() + LEASE_SECONDS + 2.0
                while time.monotonic() < over:
                    assert await count() == 3
                    await asyncio.sleep(0.2)
            await machine.until(lambda: acted(second))

    notes = [one.entry.note or "" for one in decided(second)]
    assert any("another planner acts on this deployment" in note for note in notes)
