"""One planner acts at a time, and nobody after its time."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack

import pytest
from fake_cluster.place import NAMESPACE, Place, true

from connectors.kubernetes.api import Api
from connectors.kubernetes.kinds import LEASES
from connectors.kubernetes.lease import KubernetesLease, Terms
from planner.core.role import Role
from planner.errors import ScaleRejected

TERMS = Terms(duration=1.0, deadline=0.6, retry=0.05)
NAME = "planner-test"


class Clock:
    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


def lease(api: Api, identity: str, clock: Clock, terms: Terms = TERMS) -> KubernetesLease:
    return KubernetesLease(api, (NAMESPACE, NAME), identity=identity, clock=clock, terms=terms)


@pytest.fixture
async def stack() -> AsyncIterator[AsyncExitStack]:
    async with AsyncExitStack() as stack:
        yield stack


async def started(stack: AsyncExitStack, one: KubernetesLease) -> KubernetesLease:
    await one.start()
    stack.push_async_callback(one.close)
    return one


async def test_the_first_one_holds_it_and_renews_it(empty: Place, stack: AsyncExitStack) -> None:
    clock = Clock()
    first = await started(stack, lease(empty.api, "a", clock))
    second = await started(stack, lease(empty.api, "b", clock))
    for _ in range(10):
        clock.now += 0.3
        await asyncio.sleep(0.15)

    assert (first.holds(), second.holds(), second.holder) == (True, False, "a")
    spec = empty.server.store.get(LEASES.path(NAMESPACE), NAME)["spec"]
    assert (spec["holderIdentity"], spec["leaseTransitions"]) == ("a", 0)


async def test_who_leaves_hands_it_over(empty: Place, stack: AsyncExitStack) -> None:
    first = await started(stack, lease(empty.api, "a", Clock()))
    second = await started(stack, lease(empty.api, "b", Clock()))
    await first.close()

    assert not first.holds()
    await true(second.holds)
    spec = empty.server.store.get(LEASES.path(NAMESPACE), NAME)["spec"]
    assert (spec["holderIdentity"], spec["leaseTransitions"]) == ("b", 1)


async def test_it_is_over_for_its_holder_before_it_is_for_others(
    empty: Place, stack: AsyncExitStack
) -> None:
    clock = Clock()
    first = await started(stack, lease(empty.api, "a", clock, Terms(retry=1e6)))  # hangs
    second = await started(stack, lease(empty.api, "b", clock, Terms(retry=0.02)))
    clock.now += 9.9
    await asyncio.sleep(0.1)
    assert (first.holds(), second.holds()) == (True, False)
    clock.now += 0.1
    assert not first.holds()
    clock.now += 4.9
    await asyncio.sleep(0.1)
    assert (first.holds(), second.holds()) == (False, False)
    clock.now += 0.1
    await true(second.holds)


async def test_nobody_holds_it_while_the_api_server_is_away(
    empty: Place, stack: AsyncExitStack
) -> None:
    clock = Clock()
    first = await started(stack, lease(empty.api, "a", clock))
    empty.server.go_down()
    clock.now += 0.6
    assert not first.holds()
    empty.server.come_up()
    await true(first.holds)


async def test_of_two_at_once_one_gets_it(empty: Place, stack: AsyncExitStack) -> None:
    clock = Clock()
    both = [lease(empty.api, name, clock) for name in ("a", "b")]
    await asyncio.gather(*(started(stack, one) for one in both))

    assert [one.holds() for one in both].count(True) == 1


async def test_only_its_holder_scales(place: Place, stack: AsyncExitStack) -> None:
    clock = Clock()
    cluster = await place.watching()
    leases = [await started(stack, lease(place.api, name, clock)) for name in ("a", "b")]
    leader, follower = [await place.connector(cluster, may_act=one.holds) for one in leases]
    await leader.scale({Role.DECODE: 3})

    with pytest.raises(ScaleRejected, match="another planner acts"):
        await follower.scale({Role.DECODE: 1})
    assert place.server.scale_writes == [("decode", 3)]
    assert await follower.fleet() == await leader.fleet()
