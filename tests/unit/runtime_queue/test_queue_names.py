"""Queues are found by address and name; streams get names that JetStream takes."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from runtime.errors import MessagingUnavailable, RuntimeFault
from runtime.queue.jetstream import stream_name
from runtime.queue.memory import MemoryQueue, MemoryQueueBackend
from runtime.queue.open import open_queue

NAMES = [
    pytest.param("prefill", "prefill", id="as it is"),
    pytest.param("Qwen/Qwen3-32B", "Qwen_Qwen3-32B-6fa78dee", id="slash"),
    pytest.param("prefill.dead", "prefill_dead-af72cece", id="dot"),
]


@pytest.mark.parametrize(("queue", "stream"), NAMES)
def test_a_stream_is_named_after_its_queue(queue, stream):
    assert stream_name(queue) == stream


@given(st.text(min_size=1, max_size=20))
def test_a_stream_name_has_only_what_jetstream_takes(queue):
    assert all(
        character.isascii() and character not in " .*>/\\\t\r\n" for character in stream_name(queue)
    )


@pytest.mark.parametrize(("one", "other"), [("a.b", "a_b"), ("a.b", "a/b"), ("é", "è")])
def test_different_queues_are_different_streams(one, other):
    assert stream_name(one) != stream_name(other)


async def test_one_name_is_one_queue_per_process():
    first, second = await open_queue("memory:", "one"), await open_queue("memory:", "one")
    other = await open_queue("memory:", "other")
    await first.push(b"1", item_id="1")
    assert (await second.depth(), await other.depth()) == (1, 0)


async def test_a_queue_that_is_away_refuses():
    backend = MemoryQueueBackend()
    queue = MemoryQueue(backend)
    await queue.push(b"1", item_id="1")
    delivery = await queue.pull(timeout=1.0)
    backend.available = False
    for call in (queue.push(b"2", item_id="2"), queue.depth(), delivery.ack(), delivery.retry()):
        with pytest.raises(MessagingUnavailable):
            await call
    backend.available = True
    await delivery.ack()
    assert await queue.depth() == 0


async def test_an_unknown_address_is_refused_with_those_that_are_known():
    with pytest.raises(RuntimeFault, match=r"'amqp://x': expected nats:// or memory:"):
        await open_queue("amqp://x", "prefill")
