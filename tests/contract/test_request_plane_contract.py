"""One suite for every request plane: whatever passes it can carry the runtime's requests."""

import asyncio
import time
import uuid
from collections.abc import AsyncIterator, Awaitable, Callable

import pytest

from runtime.errors import DeadlineExceeded, MessagingUnavailable, NoResponders
from runtime.messaging.memory import MemoryExchange, MemoryPlane
from runtime.messaging.nats import NatsPlane
from runtime.ports import RequestPlane

pytestmark = pytest.mark.contract

PATIENCE = 5.0
Open = Callable[[], Awaitable[RequestPlane]]


@pytest.fixture(params=["memory", "nats"])
def open_one(request: pytest.FixtureRequest) -> Open:
    if request.param == "nats":
        url = request.getfixturevalue("nats_server").url
        return lambda: NatsPlane.connect(url)
    exchange = MemoryExchange()

    async def in_memory() -> RequestPlane:
        return MemoryPlane(exchange)

    return in_memory


@pytest.fixture
async def planes(open_one: Open) -> AsyncIterator[tuple[RequestPlane, RequestPlane]]:
    """Two processes: the one that serves and the one that sends."""
    server, client = await open_one(), await open_one()
    yield server, client
    await server.close()
    await client.close()


@pytest.fixture
def subject() -> str:
    return f"test.{uuid.uuid4().hex}"


class Inbox:
    """A handler that keeps what it gets."""

    def __init__(self) -> None:
        self.messages: list[bytes] = []
        self._arrived = asyncio.Condition()

    async def __call__(self, message: bytes) -> None:
        async with self._arrived:
            self.messages.append(message)
            self._arrived.notify_all()

    async def wait(self, count: int) -> None:
        async with asyncio.timeout(PATIENCE), self._arrived:
            await self._arrived.wait_for(lambda: len(self.messages) >= count)


@pytest.mark.parametrize("message", [b"", b"\x00\xff", b"x" * 500_000], ids=["none", "few", "many"])
async def test_a_message_arrives_as_it_is(planes, subject, message):
    server, client = planes
    inbox = Inbox()
    await server.serve(subject, inbox)
    await client.send(subject, message, timeout=PATIENCE)
    await inbox.wait(1)
    assert inbox.messages == [message]


async def test_a_message_is_accepted_on_receipt_not_when_it_is_handled(planes, subject):
    server, client = planes
    started, release, done = asyncio.Event(), asyncio.Event(), asyncio.Event()

    async def slow(_: bytes) -> None:
        started.set()
        await release.wait()
        done.set()

    await server.serve(subject, slow)
    await client.send(subject, b"1", timeout=PATIENCE)
    async with asyncio.timeout(PATIENCE):
        await started.wait()
        assert not done.is_set()
        release.set()
        await done.wait()


async def test_handlers_run_side_by_side(planes, subject):
    server, client = planes
    both = asyncio.Barrier(2)
    met = Inbox()

    async def meet(message: bytes) -> None:
        await both.wait()
        await met(message)

    await server.serve(subject, meet)
    await client.send(subject, b"1", timeout=PATIENCE)
    await client.send(subject, b"2", timeout=PATIENCE)
    await met.wait(2)


async def test_nobody_there_is_known_at_once(planes, subject):
    _, client = planes
    began = time.monotonic()
    with pytest.raises(NoResponders, match=subject):
        await client.send(subject, b"1", timeout=PATIENCE)
    assert time.monotonic() - began < 1.0


async def test_a_subject_is_served_as_soon_as_serve_returns(planes, subject):
    server, client = planes
    inbox = Inbox()
    for number in range(50):
        await server.serve(f"{subject}.{number}", inbox)
        await client.send(f"{subject}.{number}", b"1", timeout=PATIENCE)
    await inbox.wait(50)


async def test_subjects_do_not_mix(planes, subject):
    server, client = planes
    first, second = Inbox(), Inbox()
    await server.serve(subject + ".1", first)
    await server.serve(subject + ".11", second)
    await client.send(subject + ".11", b"1", timeout=PATIENCE)
    await second.wait(1)
    assert first.messages == []


async def test_each_message_goes_to_exactly_one_of_those_that_serve(planes, subject):
    server, client = planes
    inbox = Inbox()
    await server.serve(subject, inbox)
    await client.serve(subject, inbox)
    sent = [str(number).encode() for number in range(100)]
    await asyncio.gather(*(client.send(subject, each, timeout=PATIENCE) for each in sent))
    await inbox.wait(100)
    assert sorted(inbox.messages) == sorted(sent)


async def nobody_serves(client, subject) -> None:
    with pytest.raises((NoResponders, DeadlineExceeded)):  # the end may still be on its way
        await client.send(subject, b"late", timeout=1.0)
    with pytest.raises(NoResponders):
        await client.send(subject, b"later", timeout=PATIENCE)


async def test_a_closed_subscription_takes_nothing_and_finishes_what_it_has(planes, subject):
    server, client = planes
    release, inbox = asyncio.Event(), Inbox()

    async def slow(message: bytes) -> None:
        await release.wait()
        await inbox(message)

    subscription = await server.serve(subject, slow)
    await client.send(subject, b"1", timeout=PATIENCE)
    await subscription.close()
    await subscription.close()
    await nobody_serves(client, subject)
    release.set()
    await inbox.wait(1)
    assert inbox.messages == [b"1"]


async def test_a_handler_that_fails_ends_its_own_message_only(planes, subject, caplog):
    server, client = planes
    inbox = Inbox()

    async def picky(message: bytes) -> None:
        if message == b"bad":
            raise ValueError(message)
        await inbox(message)

    await server.serve(subject, picky)
    await client.send(subject, b"bad", timeout=PATIENCE)
    await client.send(subject, b"good", timeout=PATIENCE)
    await inbox.wait(1)
    assert [record.message for record in caplog.records] == ["request handler failed"]


async def test_closing_cancels_the_handlers_that_still_run(planes, subject):
    server, client = planes
    started, cancelled = asyncio.Event(), asyncio.Event()

    async def endless(_: bytes) -> None:
        started.set()
        try:
            await asyncio.Event().wait()
        finally:
            cancelled.set()

    await server.serve(subject, endless)
    await client.send(subject, b"1", timeout=PATIENCE)
    async with asyncio.timeout(PATIENCE):
        await started.wait()
        await server.close()
    assert cancelled.is_set()


class Heard:
    """What a subscriber receives."""

    def __init__(self) -> None:
        self.messages: list[bytes] = []

    def __call__(self, message: bytes) -> None:
        self.messages.append(message)

    async def until(self, count: int) -> None:
        async with asyncio.timeout(PATIENCE):
            while len(self.messages) < count:  # noqa: ASYNC110 - receivers are plain functions
                await asyncio.sleep(0.002)


async def test_what_is_published_reaches_all_who_listen_in_order(planes, subject):
    first, second = planes
    heard, also = Heard(), Heard()
    await first.subscribe(subject, heard)
    await second.subscribe(subject, also)
    sent = [str(number).encode() for number in range(100)]
    for each in sent:
        await first.publish(subject, each)
    await heard.until(100)
    await also.until(100)
    assert heard.messages == also.messages == sent


async def test_nobody_has_to_listen_and_who_stops_hears_no_more(planes, subject):
    publisher, listener = planes
    await publisher.publish(subject, b"lost")
    heard, still = Heard(), Heard()
    leaving = await listener.subscribe(subject, heard)
    await listener.subscribe(subject, still)
    await publisher.publish(subject, b"1")
    await heard.until(1)
    await leaving.close()
    await leaving.close()
    await publisher.publish(subject, b"2")
    await still.until(2)
    assert heard.messages == [b"1"]


async def test_news_are_no_requests(planes, subject):
    listener, client = planes
    await listener.subscribe(subject + ".news", Heard())
    inbox = Inbox()
    await listener.serve(subject, inbox)
    await client.publish(subject + ".news", b"news")
    await client.send(subject, b"request", timeout=PATIENCE)
    await inbox.wait(1)
    assert inbox.messages == [b"request"]


async def test_a_closed_plane_refuses(planes, subject):
    server, client = planes
    assert client.healthy
    await server.serve(subject, Inbox())
    await server.close()
    await nobody_serves(client, subject)
    await client.close()
    await client.close()
    assert not client.healthy
    with pytest.raises(MessagingUnavailable):
        await client.send(subject, b"1", timeout=PATIENCE)
    with pytest.raises(MessagingUnavailable):
        await client.serve(subject, Inbox())
    with pytest.raises(MessagingUnavailable):
        await client.subscribe(subject, Heard())
    with pytest.raises(MessagingUnavailable):
        await client.publish(subject, b"1")
