"""Processes that die: the answer still comes, from whoever is left. Last, as they end workers."""

import asyncio
import os
import signal
from collections.abc import Iterator
from contextlib import contextmanager
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


@contextmanager
def frozen(pids: list[int]) -> Iterator[None]:
    for pid in pids:
        os.kill(pid, signal.SIGSTOP)
    try:
        yield
    finally:
        for pid in pids:
            os.kill(pid, signal.SIGCONT)


async def test_a_frozen_prefill_worker_loses_no_request(deployment, trio, requests, ask):
    """It holds blocks that it has promised, and answers nobody who wants to read them."""
    client, alone = await deployment.client("decode"), await deployment.client("aggregated")
    await ask(client, requests.make(tokens=300))  # the two engines know each other
    promised = requests.make(tokens=700)
    prefill = await deployment.client("prefill")
    (made,) = [each async for each in await prefill.generate(promised, response_type=Prefilled)]
    expected = await ask(alone, promised)
    before = await deployment.page(trio.decode)
    pid = trio.prefill.process.pid
    with frozen([pid, *children(pid)]):
        held = replace(promised, request_id="held", transfer=made.transfer)
        answer = await asyncio.wait_for(ask(client, held), 90)
        name = "kv_transfers_failed_total"
        failed = (await deployment.page(trio.decode))[name] - before[name]
    assert failed == 1
    assert tokens(answer) == tokens(expected)
    await deployment.until_idle(trio.decode)


async def test_a_killed_prefill_worker_loses_no_request(deployment, trio, requests, ask):
    """It dies with prefills in work, others in its queue, and blocks that it has promised."""
    client, alone = await deployment.client("decode"), await deployment.client("aggregated")
    await ask(client, requests.make(tokens=300))  # the two engines know each other
    promised = requests.make(tokens=700)
    prefill = await deployment.client("prefill")
    (made,) = [each async for each in await prefill.generate(promised, response_type=Prefilled)]
    before = await deployment.page(trio.decode)
    pids = children(trio.prefill.process.pid)
    assert pids

    many = [requests.make(tokens=1500) for _ in range(8)]
    asking = [asyncio.create_task(ask(client, one)) for one in many]
    await asyncio.wait(asking, return_when=asyncio.FIRST_COMPLETED)
    await deployment.end(trio.prefill, signal.SIGKILL)
    answers = await asyncio.gather(*asking)
    await until_gone(pids)
    lost = await ask(client, replace(promised, request_id="lost", transfer=made.transfer))

    expected = [await ask(alone, one) for one in (*many, promised)]
    assert list(map(tokens, (*answers, lost))) == list(map(tokens, expected))
    name = "kv_transfers_failed_total"
    await deployment.until(trio.decode, lambda page: page[name] > before[name])
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
