"""Requests go where their prompts are cached, as workers tell it, whatever is lost on the way."""

import asyncio
from contextlib import AsyncExitStack

import pytest

from runtime import DistributedRuntime
from runtime.client import Client
from runtime.errors import Draining, InvalidRequest, RuntimeFault
from runtime.kv_events import publisher
from runtime.kv_events.blocks import block_hashes
from runtime.kv_events.ledger import BlockLedger
from runtime.kv_events.messages import KvNews, decode_news, encode_news, news_subject
from runtime.kv_events.publisher import KvPublisher

SIZE = 4
PROMPT = list(range(40))


class Worker:
    """An instance that tells what its ledger holds."""

    def __init__(self, runtime: DistributedRuntime, number: int) -> None:
        self.runtime = runtime
        self.number = number
        self.ledger = BlockLedger(SIZE)
        self.release = asyncio.Event()
        self.fault: RuntimeFault | None = None
        self.publisher: KvPublisher
        self.served = None

    async def start(self, *, tells: bool = True) -> "Worker":
        if tells:
            self.publisher = await KvPublisher.start(
                self.runtime.plane, self.ledger,
                namespace="planner", component="decode", instance_id=self.number,
            )  # fmt: skip
        endpoint = self.runtime.endpoint("decode", "generate")
        self.served = await endpoint.serve(self.generate, instance_id=self.number)
        return self

    async def generate(self, request, context):
        if self.fault is not None:
            raise self.fault
        yield self.number
        if request == "wait":
            await self.release.wait()


@pytest.fixture
async def make(deployment, monkeypatch):
    monkeypatch.setattr(publisher, "BEAT_SECONDS", 0.05)
    async with AsyncExitStack() as stack:

        async def start(number: int, *, tells: bool = True) -> Worker:
            worker = await Worker(await deployment.connect(), number).start(tells=tells)
            if tells:
                stack.push_async_callback(worker.publisher.close)
            return worker

        yield start


@pytest.fixture
async def client(deployment) -> Client:
    runtime = await deployment.connect()
    return await runtime.endpoint("decode", "generate").client("kv")


def known(client: Client, worker: int) -> int:
    return client._strategy.cached_blocks(worker)


def loads(client: Client) -> dict:
    return dict(client._strategy.loads)


async def until(condition) -> None:
    async with asyncio.timeout(5):
        while not condition():  # noqa: ASYNC110 - of several tasks
            await asyncio.sleep(0.002)


async def asked(client: Client, prompt: list[int]) -> int:
    stream = await client.generate("go", token_ids=prompt)
    (number,) = [one async for one in stream]
    return number


async def test_a_prompt_goes_where_its_beginning_is_cached(make, client):
    workers = [await make(number) for number in (1, 2, 3)]
    for number, worker in enumerate(workers):
        worker.ledger.store(block_hashes([number] * 40, SIZE))
    await client.wait_for_instances(3, timeout=5)
    await until(lambda: all(known(client, number) == 10 for number in (1, 2, 3)))
    for number in (0, 1, 2, 1, 0):
        assert await asked(client, [number] * 36 + [9] * 20) == number + 1
    assert loads(client) == {}


async def test_a_router_that_comes_later_is_told_what_is_there(make, deployment):
    worker = await make(1)
    worker.ledger.store(block_hashes(PROMPT, SIZE))
    for _ in range(2):
        runtime = await deployment.connect()
        client = await runtime.endpoint("decode", "generate").client("kv")
        await until(lambda client=client: known(client, 1) == 10)
        await client.close()


async def test_blocks_are_told_once_somebody_asks(make, deployment):
    runtime, heard = await deployment.connect(), []
    subject = news_subject("planner", "decode")
    await runtime.plane.subscribe(subject, lambda message: heard.append(decode_news(message)))
    worker = await make(1)
    worker.ledger.store(block_hashes(PROMPT, SIZE))
    await until(lambda: len(heard) >= 3)
    assert [news.events for news in heard] == [[]] * len(heard)
    client = await runtime.endpoint("decode", "generate").client("kv")
    await until(lambda: known(client, 1) == 10)


async def test_lost_messages_are_made_up_for(make, client, deployment, monkeypatch):
    worker = await make(1)
    await until(lambda: client._strategy._known.tells(1))
    worker.ledger.store(block_hashes(PROMPT, SIZE))
    await until(lambda: known(client, 1) == 10)
    lost, publish = [], deployment.exchange.publish
    monkeypatch.setattr(deployment.exchange, "publish", lambda *message: lost.append(message))
    worker.ledger.clear()
    await until(lambda: lost)
    monkeypatch.setattr(deployment.exchange, "publish", publish)
    await until(lambda: known(client, 1) == 0)
    worker.ledger.store(block_hashes(PROMPT[:20], SIZE))
    await until(lambda: known(client, 1) == 5)


async def test_a_plane_that_was_away_is_made_up_for(make, client, deployment):
    worker = await make(1)
    await until(lambda: client._strategy._known.tells(1))
    deployment.exchange.available = False
    worker.ledger.store(block_hashes(PROMPT, SIZE))
    await asyncio.sleep(0.05)
    deployment.exchange.available = True
    await until(lambda: known(client, 1) == 10)


async def test_what_cannot_be_told_is_told_later(make, client, deployment, monkeypatch, caplog):
    worker = await make(1)
    await until(lambda: client._strategy._known.tells(1))

    def refuse(*_message) -> None:
        raise InvalidRequest("too large")

    publish = deployment.exchange.publish
    monkeypatch.setattr(deployment.exchange, "publish", refuse)
    worker.ledger.store(block_hashes(PROMPT, SIZE))
    await until(lambda: "too large" in caplog.text)
    monkeypatch.setattr(deployment.exchange, "publish", publish)
    await until(lambda: known(client, 1) == 10)


async def test_a_worker_that_left_is_forgotten(make, client, deployment):
    worker = await make(1)
    worker.ledger.store(block_hashes(PROMPT, SIZE))
    await until(lambda: known(client, 1) == 10)
    await worker.served.close()
    await until(lambda: known(client, 1) == 0)
    await asyncio.sleep(0.06)  # what it still says is not taken for a cache that can be used
    assert not client._strategy._known.tells(1)


async def test_what_is_no_news_is_passed_over(make, client, deployment, caplog):
    worker = await make(1)
    await until(lambda: client._strategy._known.tells(1))
    deployment.exchange.publish(news_subject("planner", "decode"), b"\xc1")
    worker.ledger.store(block_hashes(PROMPT, SIZE))
    await until(lambda: known(client, 1) == 10)
    assert ["kv events not read" in record.message for record in caplog.records] == [True]


async def test_workers_that_tell_nothing_get_the_prompts_they_had(make, client):
    for number in (1, 2):
        await make(number, tells=False)
    await client.wait_for_instances(2, timeout=5)
    first = await asked(client, PROMPT)
    assert {await asked(client, [*PROMPT, number]) for number in range(6)} == {first}


ENDS = [
    pytest.param(None, id="complete"),
    pytest.param(InvalidRequest("no"), id="refused by the handler"),
    pytest.param(Draining("leaving"), id="broken off"),
]


@pytest.mark.parametrize("fault", ENDS)
async def test_nothing_is_in_hand_after_a_request(make, client, fault):
    worker = await make(1)
    worker.fault = fault
    await client.wait_for_instances(timeout=5)
    stream = await client.generate("go", token_ids=PROMPT)
    if fault is None:
        assert [one async for one in stream] == [1]
    else:
        with pytest.raises(type(fault)):
            [one async for one in stream]
    assert loads(client) == {}


async def test_a_prompt_is_computed_once_the_first_item_has_come(make, client):
    worker = await make(1)
    await until(lambda: client._strategy._known.tells(1))
    stream = await client.generate("wait", token_ids=PROMPT)
    assert await anext(aiter(stream)) == 1
    (load,) = loads(client).values()
    assert (load.prefill_tokens, load.blocks) == (0, 10)
    worker.release.set()
    assert [one async for one in stream] == []
    assert loads(client) == {}


async def test_nothing_is_in_hand_of_requests_that_are_dropped(make, client):
    worker = await make(1)
    await client.wait_for_instances(timeout=5)
    async with await client.generate("wait", token_ids=PROMPT) as stream:
        assert await anext(aiter(stream)) == 1
    assert loads(client) == {}
    held = await client.generate("wait", token_ids=PROMPT)
    await worker.runtime.close()
    with pytest.raises(RuntimeFault):
        [one async for one in held]
    assert loads(client) == {}


async def test_nothing_is_in_hand_where_nobody_accepted(make, client, deployment):
    worker = await make(1)
    await client.wait_for_instances(timeout=5)
    worker.served._is_leaving = True
    with pytest.raises(Draining):
        await client.generate("go", token_ids=PROMPT)
    assert loads(client) == {}
    worker.served._is_leaving = False
    deployment.exchange.available = False
    with pytest.raises(RuntimeFault):
        await client.generate("go", token_ids=PROMPT)
    task = asyncio.create_task(client.generate("go", token_ids=PROMPT))
    await asyncio.sleep(0)
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)
    assert loads(client) == {}


async def test_a_client_that_closes_listens_no_more(make, client, deployment):
    worker = await make(1)
    await until(lambda: client._strategy._known.tells(1))
    await client.close()
    assert deployment.exchange._heard[news_subject("planner", "decode")] == []
    worker.ledger.store(block_hashes(PROMPT, SIZE))
    await asyncio.sleep(0.03)
    assert known(client, 1) == 0


async def test_what_arrives_while_a_client_closes_leaves_no_task_behind(make, client, monkeypatch):
    await make(1)
    await until(lambda: client._strategy._known.tells(1))
    follower = client._follower
    subscription, close = follower._subscription, follower._subscription.close

    async def close_late() -> None:
        follower._asked.clear()
        follower._receive(encode_news(KvNews(instance_id=1, epoch=0, number=1, block_size=SIZE)))
        await close()

    monkeypatch.setattr(subscription, "close", close_late)
    await follower.close()
    assert not follower._tasks
