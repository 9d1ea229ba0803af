"""One suite for every work queue: whatever passes it can hold the prefills of a deployment."""

import asyncio
import time
import uuid
from collections.abc import AsyncIterator, Awaitable, Callable

import pytest

from runtime.errors import MessagingUnavailable
from runtime.ports import Delivery, WorkQueue
from runtime.queue.memory import MemoryQueue, MemoryQueueBackend
from runtime.queue.open import open_queue

pytestmark = pytest.mark.contract

ACK_WAIT = 0.4
PATIENCE = 5.0
Open = Callable[[], Awaitable[WorkQueue]]


@pytest.fixture(params=["memory", "jetstream"])
def open_one(request: pytest.FixtureRequest) -> Open:
    if request.param == "jetstream":
        url, name = request.getfixturevalue("nats_server").url, f"test/{uuid.uuid4().hex}"
        return lambda: open_queue(url, name, ack_wait=ACK_WAIT)
    backend = MemoryQueueBackend()

    async def in_memory() -> WorkQueue:
        return MemoryQueue(backend, ack_wait=ACK_WAIT)

    return in_memory


@pytest.fixture
async def queues(open_one: Open) -> AsyncIterator[tuple[WorkQueue, WorkQueue]]:
    """The same queue as two processes see it."""
    first, second = await open_one(), await open_one()
    yield first, second
    await first.close()
    await second.close()


async def pulled(queue: WorkQueue) -> Delivery:
    delivery = await queue.pull(timeout=PATIENCE)
    assert delivery is not None
    return delivery


async def test_items_come_in_order_and_as_they_are(queues):
    pusher, puller = queues
    items = [b"", b"\x00\xff", b"x" * 200_000]
    for number, item in enumerate(items):
        await pusher.push(item, item_id=str(number))
    deliveries = [await pulled(puller) for _ in items]
    assert [delivery.body for delivery in deliveries] == items
    assert [delivery.attempt for delivery in deliveries] == [1, 1, 1]


@pytest.mark.parametrize("timeout", [0, 0.1])
async def test_an_empty_queue_gives_none_in_time(queues, timeout):
    began = time.monotonic()
    assert await queues[0].pull(timeout=timeout) is None
    assert timeout * 0.9 <= time.monotonic() - began < timeout + 1.0


async def test_a_pull_waits_for_the_next_item(queues):
    pusher, puller = queues
    waiting = asyncio.create_task(pulled(puller))
    await asyncio.sleep(0.05)
    await pusher.push(b"1", item_id="1")
    assert (await waiting).body == b"1"


async def test_the_same_id_adds_nothing(queues):
    pusher, puller = queues
    await pusher.push(b"1", item_id="same")
    await puller.push(b"2", item_id="same")
    assert await pusher.depth() == 1
    await (await pulled(puller)).ack()
    await pusher.push(b"3", item_id="same")
    assert await pusher.depth() == 0


async def test_depth_counts_what_waits_and_what_is_worked_on(queues):
    pusher, puller = queues
    assert await pusher.depth() == 0
    await pusher.push(b"1", item_id="1")
    await pusher.push(b"2", item_id="2")
    delivery = await pulled(puller)
    assert await pusher.depth() == 2
    await delivery.ack()
    assert await pusher.depth() == 1


async def test_an_acknowledged_item_never_comes_back(queues):
    pusher, puller = queues
    await pusher.push(b"1", item_id="1")
    await (await pulled(puller)).ack()
    assert await puller.pull(timeout=2 * ACK_WAIT) is None


async def test_an_item_of_a_dead_puller_comes_back(queues):
    pusher, puller = queues
    await pusher.push(b"1", item_id="1")
    assert (await pulled(puller)).attempt == 1
    again = await pulled(pusher)
    assert (again.body, again.attempt) == (b"1", 2)
    third = await pulled(puller)
    assert third.attempt == 3
    await third.ack()
    assert await pusher.depth() == 0


async def test_work_in_progress_stays_with_its_puller(queues):
    pusher, puller = queues
    await pusher.push(b"1", item_id="1")
    delivery = await pulled(puller)
    for _ in range(4):
        await delivery.in_progress()
        assert await pusher.pull(timeout=ACK_WAIT / 2) is None
    await delivery.ack()
    assert await pusher.depth() == 0


async def test_an_item_given_back_comes_at_once(queues):
    pusher, puller = queues
    await pusher.push(b"1", item_id="1")
    began = time.monotonic()
    await (await pulled(puller)).retry()
    again = await pulled(pusher)
    assert (again.attempt, time.monotonic() - began < ACK_WAIT) == (2, True)
    await again.ack()


async def test_a_late_acknowledgement_still_counts(queues):
    pusher, puller = queues
    await pusher.push(b"1", item_id="1")
    slow = await pulled(puller)
    await pulled(pusher)
    await slow.ack()
    assert await pusher.depth() == 0
    assert await puller.pull(timeout=2 * ACK_WAIT) is None


async def test_each_item_is_worked_on_once_however_many_pull(queues):
    pusher, _ = queues
    for number in range(40):
        await pusher.push(str(number).encode(), item_id=str(number))

    async def drain(queue: WorkQueue) -> list[bytes]:
        bodies = []
        while (delivery := await queue.pull(timeout=0.2)) is not None:
            bodies.append(delivery.body)
            await delivery.ack()
        return bodies

    drained = await asyncio.gather(*(drain(queue) for queue in (*queues, *queues)))
    bodies = [body for some in drained for body in some]
    assert sorted(bodies) == sorted(str(number).encode() for number in range(40))


async def test_a_cancelled_pull_keeps_nothing_from_the_others(queues):
    pusher, puller = queues
    abandoned = asyncio.create_task(puller.pull(timeout=PATIENCE))
    await asyncio.sleep(0.05)
    abandoned.cancel()
    await asyncio.gather(abandoned, return_exceptions=True)
    assert abandoned.cancelled()
    await pusher.push(b"1", item_id="1")
    began = time.monotonic()
    await (await pulled(pusher)).ack()
    assert time.monotonic() - began < ACK_WAIT


async def test_closing_ends_a_pull_that_waits(queues):
    _, puller = queues
    waiting = asyncio.create_task(puller.pull(timeout=PATIENCE))
    await asyncio.sleep(0.05)
    began = time.monotonic()
    await puller.close()
    assert await waiting is None
    assert time.monotonic() - began < 1.0


async def test_a_closed_queue_refuses(queues):
    queue, _ = queues
    await queue.close()
    await queue.close()
    for call in (queue.push(b"1", item_id="1"), queue.pull(timeout=0.1), queue.depth()):
        with pytest.raises(MessagingUnavailable):
            await call
