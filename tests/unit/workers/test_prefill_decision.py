"""Prefill here or elsewhere: the decision, its limits, and limits that change while it runs."""

import logging

import pytest
from hypothesis import given
from hypothesis import strategies as st

from runtime.discovery.memory import MemoryBackend, MemoryStore
from workers.disaggregation.decision import Limits, parse_limits, prefill_remotely, settings_key
from workers.disaggregation.settings import LimitsWatch

LIMITS = Limits(max_local_prefill_length=128, max_prefill_queue_size=4)

DECISIONS = [
    pytest.param(129, 0, True, True, id="long prompt, empty queue"),
    pytest.param(128, 0, True, False, id="short prompt"),
    pytest.param(129, 3, True, True, id="room for one more"),
    pytest.param(129, 4, True, False, id="full queue"),
    pytest.param(129, None, True, False, id="unknown queue"),
    pytest.param(129, 0, False, False, id="no prefill workers"),
]


@pytest.mark.parametrize(("uncached", "depth", "present", "expected"), DECISIONS)
def test_decision(uncached, depth, present, expected):
    decided = prefill_remotely(
        uncached, queue_depth=depth, limits=LIMITS, prefill_workers_present=present
    )
    assert decided is expected


@given(st.integers(0, 10**6), st.integers(0, 100), st.integers(0, 10**6), st.integers(0, 100))
def test_a_longer_prompt_never_comes_back_and_a_longer_queue_never_sends(tokens, depth, t, d):
    def decide(tokens: int, depth: int) -> bool:
        return prefill_remotely(
            tokens, queue_depth=depth, limits=LIMITS, prefill_workers_present=True
        )

    if decide(tokens, depth):
        assert decide(tokens + t, max(0, depth - d))


PARSED = [
    pytest.param(b"{}", LIMITS, id="nothing given"),
    pytest.param(
        b'{"max_local_prefill_length": 7}',
        Limits(max_local_prefill_length=7, max_prefill_queue_size=4),
        id="one given",
    ),
    pytest.param(
        b'{"max_local_prefill_length": 0, "max_prefill_queue_size": 0}',
        Limits(max_local_prefill_length=0, max_prefill_queue_size=0),
        id="never remotely",
    ),
]


@pytest.mark.parametrize(("value", "expected"), PARSED)
def test_limits_are_read(value, expected):
    assert parse_limits(value, LIMITS) == expected


REFUSED = [
    pytest.param(b"", "truncated", id="empty"),
    pytest.param(b"{", "truncated", id="cut off"),
    pytest.param(b"[]", "Expected `object`", id="not an object"),
    pytest.param(b'{"max_prefill_queue_size": -1}', ">= 0", id="negative"),
    pytest.param(b'{"max_prefill_queue_size": "4"}', "max_prefill_queue_size", id="text"),
    pytest.param(b'{"max_prefill_queue_size": 1.5}', "max_prefill_queue_size", id="fraction"),
    pytest.param(b'{"max_prefill_queue_size": true}', "max_prefill_queue_size", id="boolean"),
    pytest.param(b'{"max_prefil_queue_size": 4}', "max_prefil_queue_size", id="unknown name"),
    pytest.param(b"\xff\xfe", "malformed", id="not text"),
]


@pytest.mark.parametrize(("value", "message"), REFUSED)
def test_bad_limits_are_refused_with_a_reason(value, message):
    with pytest.raises(ValueError, match=message):
        parse_limits(value, LIMITS)


@pytest.fixture
async def store():
    opened = MemoryStore(MemoryBackend())
    yield opened
    await opened.close()


async def test_limits_follow_the_store(store, caplog, until):
    caplog.set_level(logging.WARNING)
    key = settings_key("ns")
    await store.put(key, b'{"max_local_prefill_length": 1}')
    watch = await LimitsWatch.start(store, "ns", defaults=LIMITS)
    assert watch.current.max_local_prefill_length == 1

    await store.put(key, b'{"max_local_prefill_length": 2}')
    await until(lambda: watch.current.max_local_prefill_length == 2)

    await store.put(key, b"not json")
    await until(lambda: "refused" in caplog.text)
    assert watch.current.max_local_prefill_length == 2

    await store.put(key, b'{"max_local_prefill_length": 3}')
    await until(lambda: watch.current.max_local_prefill_length == 3)

    await store.put(f"{key}-other", b'{"max_local_prefill_length": 4}')
    await store.delete(key)
    await until(lambda: watch.current == LIMITS)
    await watch.close()
