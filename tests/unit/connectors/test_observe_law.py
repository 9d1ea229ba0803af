"""Whatever is decided, observing writes nothing to the fleet."""

import asyncio

import pytest
from hypothesis import given
from hypothesis import strategies as st

from connectors.fake import FakeConnector
from connectors.observe import ObserveConnector
from planner.core.role import Role
from planner.errors import PlannerError
from planner.ports import Outcome

counts = st.integers(-1, 60)
fleets = st.fixed_dictionaries({Role.PREFILL: st.integers(0, 9), Role.DECODE: st.integers(0, 9)})


@given(fleets, st.lists(st.dictionaries(st.sampled_from(Role), counts), max_size=8))
def test_observing_makes_no_writes(fleet, wishes):
    behind = FakeConnector(fleet)
    observing = ObserveConnector(behind)

    async def wish(desired):
        try:
            return (await observing.scale(desired)).outcome
        except PlannerError:
            return None

    async def all_wishes():
        before = await behind.fleet()
        outcomes = {await wish(desired) for desired in wishes}
        assert await behind.fleet() == before
        return outcomes

    assert Outcome.APPLIED not in asyncio.run(all_wishes())
    assert not behind.calls


@pytest.mark.parametrize("count", [2, 3])
def test_only_what_would_change_something_is_recorded(count):
    observing = ObserveConnector(FakeConnector({Role.DECODE: 2}))
    asyncio.run(observing.scale({Role.DECODE: count}))
    assert list(observing.recorded) == ([{Role.DECODE: 3}] if count == 3 else [])
