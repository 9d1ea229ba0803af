"""The live entries equal what a plain dictionary would hold, and never hide a change."""

import asyncio
from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st

from runtime.discovery.entries import LiveEntries

KEYS = st.sampled_from(["a", "b", "c"])
CHANGES = st.lists(st.dictionaries(KEYS, st.none() | st.binary(max_size=1)), max_size=12)


@given(CHANGES)
def test_updates_end_where_a_dictionary_would(batches):
    live, expected = LiveEntries({"a": b"0"}), {"a": b"0"}
    for batch in batches:
        live.update(batch)
        for key, value in batch.items():
            if value is None:
                expected.pop(key, None)
            else:
                expected[key] = value
        assert live.entries == expected


@given(CHANGES)
def test_a_follower_ends_with_the_current_entries_and_sees_no_state_twice(batches):
    async def follow() -> None:
        live, seen = LiveEntries({}), []

        async def collect() -> None:
            async for entries in live.changes():
                seen.append(entries)  # noqa: PERF401 - read while it grows

        collecting = asyncio.create_task(collect())
        for batch in batches:
            live.update(batch)
            await asyncio.sleep(0)
        await asyncio.sleep(0)
        assert seen[-1] == live.entries
        assert all(one != other for one, other in pairwise(seen))
        live.finish()
        await collecting

    asyncio.run(follow())


async def test_equal_entries_are_no_change():
    live = LiveEntries({"a": b"1"})
    changes = live.changes()
    await anext(changes)
    waiting = asyncio.ensure_future(anext(changes))
    live.replace({"a": b"1"})
    live.update({"a": b"1", "b": None})
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    assert not waiting.done()
    live.update({"b": b"2"})
    assert await waiting == {"a": b"1", "b": b"2"}
