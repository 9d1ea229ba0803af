"""Processes that die: the answer still comes, from whoever is left. Last, as they end workers."""

import asyncio
import os
import signal
from pathlib import Path

import pytest
from msgspec.structs import replace

from workers.engine import Prefilled

pytestmark = [pytest.mark.vllm, pytest.mark.asyncio(loop_scope="session")]


def tokens(deltas):
    return [token for delta in deltas for token in delta.token_ids]


def children(pid: int) -> list[int]:
    """Return the processes that *pid* started, and those that they started."""
    found = [int(each) for path in Path(f"/proc/{pid}/task").glob("*/children")
             for each in path.read_text().split()]  # fmt: skip
    return found + [each for child in found for each in children(child)]


def is_alive(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


def command_line(pid: int) -> str:
    return Path(f"/proc/{pid}/cmdline").read_text().replace("\0", " ")


async def until_gone(pids: list[int]) -> None:
    async with asyncio.timeout(15):
        while any(map(is_alive, pids)):  # noqa: ASYNC110 - other processes
            await asyncio.sleep(0.1)


async def test_blocks_that_cannot_be_fetched_are_computed_again(deployment, trio, requests, ask):
    """The prefill worker dies after its answer: its blocks are promised and gone."""
    client, alone = await deployment.client("decode"), await deployment.client("aggregated")
    await ask(client, requests.make(tokens=300))  # the two engines know each other
    one = requests.make(tokens=700)
    prefill = await deployment.client("prefill")
    (prefilled,) = [each async for each in await prefill.generate(one, response_type=Prefilled)]
    before = await deployment.page(trio.decode)

    pids = children(trio.prefill.process.pid)
    assert pids
    await deployment.end(trio.prefill, signal.SIGKILL)
    await until_gone(pids)
    answer = await ask(client, replace(one, request_id="lost", transfer=prefilled.transfer))

    assert tokens(answer) == tokens(await ask(alone, one))
    await deployment.until(
        trio.decode,
        lambda page: page["kv_transfers_failed_total"] > before["kv_transfers_failed_total"],
    )
    await deployment.until_idle(trio.decode)


async def test_without_any_prefill_worker_decode_workers_go_on_alone(
    deployment, trio, requests, ask
):
    client = await deployment.client("decode")
    answer = await ask(client, requests.make(tokens=600))
    assert answer[0].remote_prefill is False
    assert len(tokens(answer)) == 12


async def test_a_worker_whose_engine_dies_ends_too(deployment, trio):
    pids = children(trio.aggregated.process.pid)
    os.kill(next(pid for pid in pids if "EngineCore" in command_line(pid)), signal.SIGKILL)
    assert await asyncio.wait_for(trio.aggregated.process.wait(), 30) == 1
    await until_gone(pids)


async def test_a_worker_that_is_asked_to_end_leaves_nothing(deployment, trio):
    pids = children(trio.decode.process.pid)
    assert pids
    assert await deployment.end(trio.decode) == 0
    await until_gone(pids)
