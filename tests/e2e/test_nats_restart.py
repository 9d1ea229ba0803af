"""What the request plane and the work queue keep and repair when NATS is killed and restarted."""

import asyncio
import logging
import shutil
import signal
import time
from collections.abc import AsyncIterator

import pytest

from runtime.errors import DeadlineExceeded, InvalidRequest, MessagingUnavailable, NoResponders
from runtime.messaging.nats import NatsPlane
from runtime.messaging.open import open_plane
from runtime.ports import Delivery, RequestPlane, WorkQueue
from runtime.queue.open import open_queue
from runtime.servers import LOOPBACK, free_port

pytestmark = pytest.mark.e2e

BACK_SECONDS = 5.0
FAST_SECONDS = 1.5
QUEUE_SECONDS = 2.5
WRITTEN_SECONDS = 0.5
"""Until the server has written down who got what; it does so behind its answers."""


@pytest.fixture(autouse=True)
async def _nothing_escapes(caplog: pytest.LogCaptureFixture) -> AsyncIterator[None]:
    yield
    assert [record for record in caplog.records if record.levelno >= logging.ERROR] == []


@pytest.fixture
async def worker(own_nats) -> AsyncIterator[RequestPlane]:
    plane = await open_plane(own_nats.url)
    yield plane
    await plane.close()


@pytest.fixture
async def frontend(own_nats) -> AsyncIterator[RequestPlane]:
    plane = await open_plane(own_nats.url)
    yield plane
    await plane.close()


@pytest.fixture
async def queue(own_nats, worker) -> AsyncIterator[WorkQueue]:
    opened = await open_queue(own_nats.url, "prefill", ack_wait=1.0, plane=worker)
    yield opened
    await opened.close()


class Kept(list[bytes]):
    """A handler that keeps what it gets."""

    async def __call__(self, message: bytes) -> None:
        self.append(message)


async def sent_again(plane: RequestPlane, subject: str, message: bytes) -> None:
    """Send as a client does: again and again, until it is taken."""
    async with asyncio.timeout(BACK_SECONDS):
        while True:
            try:
                await plane.send(subject, message, timeout=1.0)
            except (NoResponders, MessagingUnavailable):
                await asyncio.sleep(0.05)
            else:
                return


async def until_lost(plane: RequestPlane) -> None:
    async with asyncio.timeout(BACK_SECONDS):
        while plane.healthy:  # noqa: ASYNC110 - a flag, not an event
            await asyncio.sleep(0.01)


async def test_serving_and_sending_work_again_after_a_restart(own_nats, worker, frontend):
    kept = Kept()
    await worker.serve("decode", kept)
    await frontend.send("decode", b"before", timeout=1.0)
    own_nats.kill()
    await until_lost(frontend)
    began = time.monotonic()
    with pytest.raises(MessagingUnavailable, match=str(own_nats.port)):
        await frontend.send("decode", b"while away", timeout=30.0)
    with pytest.raises(MessagingUnavailable):
        await worker.serve("other", kept)
    assert time.monotonic() - began < 2 * FAST_SECONDS
    await own_nats.start()
    await sent_again(frontend, "decode", b"after")
    await worker.serve("other", kept)
    await sent_again(frontend, "other", b"new")
    assert kept == [b"before", b"after", b"new"]


async def test_what_was_given_up_is_not_delivered_later(own_nats, worker, frontend):
    kept = Kept()
    await worker.serve("decode", kept)
    own_nats.kill()  # nobody has noticed yet: the message goes into a connection that is dead
    began = time.monotonic()
    with pytest.raises(MessagingUnavailable):
        await frontend.send("decode", b"given up", timeout=30.0)
    assert time.monotonic() - began < FAST_SECONDS
    await own_nats.start()
    await sent_again(frontend, "decode", b"after")
    assert kept == [b"after"]


async def test_what_a_stalled_server_did_not_read_is_not_delivered_later(
    own_nats, worker, frontend
):
    kept = Kept()
    await worker.serve("decode", kept)
    own_nats.send_signal(signal.SIGSTOP)
    large = b"x" * 900_000  # together more than the buffers between the two hold
    for _ in range(2):  # the second lot waits in the client, behind the first one
        stalled = [frontend.send("decode", large, timeout=0.5) for _ in range(20)]
        faults = await asyncio.gather(*stalled, return_exceptions=True)
        assert {type(fault) for fault in faults} == {DeadlineExceeded}
    own_nats.kill()
    await own_nats.start()
    await sent_again(frontend, "decode", b"after")
    assert kept == [b"after"]


async def test_a_request_in_flight_fails_with_the_connection(own_nats, frontend):
    link = frontend.link
    await link.client.subscribe("silent", cb=Kept().__call__)
    waiting = asyncio.create_task(frontend.send("silent", b"1", timeout=30.0))
    await asyncio.sleep(0.1)
    own_nats.kill()
    async with asyncio.timeout(FAST_SECONDS):
        with pytest.raises(MessagingUnavailable):
            await waiting


async def test_a_subscription_closed_meanwhile_stays_closed(own_nats, worker, frontend):
    subscription = await worker.serve("decode", Kept())
    own_nats.kill()
    await until_lost(worker)
    await subscription.close()
    await own_nats.start()
    async with asyncio.timeout(BACK_SECONDS):
        while not (worker.healthy and frontend.healthy):  # noqa: ASYNC110 - flags, not events
            await asyncio.sleep(0.02)
    with pytest.raises(NoResponders):
        await frontend.send("decode", b"1", timeout=1.0)


async def test_too_large_a_message_is_the_senders_fault(frontend):
    with pytest.raises(InvalidRequest, match="2000000 bytes"):
        await frontend.send("decode", b"x" * 2_000_000, timeout=1.0)


async def test_no_nats_is_said_in_one_line_with_the_address():
    url = f"nats://{LOOPBACK}:{free_port()}"
    began = time.monotonic()
    with pytest.raises(MessagingUnavailable, match=f"^NATS at {url} does not answer$"):
        await NatsPlane.connect(url, timeout=0.5)
    assert time.monotonic() - began < 2.0


async def test_items_outlive_a_killed_server(own_nats, queue):
    await queue.push(b"working", item_id="1")
    delivery = await queue.pull(timeout=1.0)
    await queue.push(b"waiting", item_id="2")
    await asyncio.sleep(WRITTEN_SECONDS)
    own_nats.kill()
    began = time.monotonic()
    with pytest.raises(MessagingUnavailable):
        await queue.push(b"away", item_id="3")
    assert time.monotonic() - began < QUEUE_SECONDS
    for call in (queue.pull(timeout=30.0), queue.depth(), delivery.ack(), delivery.in_progress()):
        began = time.monotonic()
        with pytest.raises(MessagingUnavailable):
            await call
        assert time.monotonic() - began < QUEUE_SECONDS

    await own_nats.start()
    await delivery.ack()
    await queue.push(b"away", item_id="3")
    assert await queue.depth() == 2
    bodies = []
    while (item := await queue.pull(timeout=1.0)) is not None:
        bodies.append(item.body)
        await item.ack()
    assert bodies == [b"waiting", b"away"]


async def test_an_item_of_a_dead_puller_comes_back_after_a_restart(own_nats, queue):
    await queue.push(b"1", item_id="1")
    assert await queue.pull(timeout=1.0)
    await asyncio.sleep(WRITTEN_SECONDS)
    own_nats.kill()
    await own_nats.start()
    again = await _pulled(queue)
    assert (again.body, again.attempt) == (b"1", 2)
    await again.ack()


async def test_a_pull_that_waits_is_told_of_the_loss(own_nats, queue):
    waiting = asyncio.create_task(queue.pull(timeout=30.0))
    await asyncio.sleep(0.1)
    own_nats.kill()
    async with asyncio.timeout(FAST_SECONDS):
        with pytest.raises(MessagingUnavailable):
            await waiting


async def test_a_server_that_lost_its_data_gets_the_queue_again(own_nats, queue, tmp_path):
    await queue.push(b"lost", item_id="1")
    own_nats.kill()
    shutil.rmtree(tmp_path / "nats" / "data")
    await own_nats.start()
    pulling = asyncio.create_task(_pulled(queue))
    await queue.push(b"new", item_id="2")
    assert (await pulling).body == b"new"
    assert await queue.depth() == 1


async def test_items_are_worked_on_at_least_once_when_the_server_forgets_who_got_them(
    own_nats, queue
):
    await queue.push(b"1", item_id="1")
    assert await queue.pull(timeout=1.0)
    own_nats.kill()
    await own_nats.start()
    again = await _pulled(queue)
    assert again.body == b"1"
    assert again.attempt in (1, 2)


async def _pulled(queue: WorkQueue) -> Delivery:
    """Pull as a worker does: again and again, until an item comes."""
    async with asyncio.timeout(BACK_SECONDS):
        while True:
            try:
                delivery = await queue.pull(timeout=1.0)
            except MessagingUnavailable:
                continue
            if delivery is not None:
                return delivery
