"""Instances that do not accept are passed over; the attempts are bounded and counted down."""

import asyncio

import pytest

from runtime.client import MAX_ATTEMPTS
from runtime.errors import (
    Draining,
    InvalidRequest,
    MessagingUnavailable,
    NoInstances,
    NoResponders,
    Overloaded,
)
from runtime.instance import encode_record


async def who(request, context):
    return "alive"


@pytest.fixture
async def fleet(deployment):
    """Serve on one runtime under the ids 1, 2, ...; returns the served endpoints by id."""
    worker = await deployment.connect()
    endpoint = worker.endpoint("worker", "generate")

    async def serve(count):
        return {
            number: await endpoint.serve(who, instance_id=number) for number in range(1, count + 1)
        }

    return serve


@pytest.fixture
async def client(deployment):
    caller = await deployment.connect()
    return await caller.endpoint("worker", "generate").client()


def gone(served):
    """Let it be listed while nobody answers there."""
    return served._subscription.close()


async def deaf(message):
    """Accept and never answer."""


async def test_a_vanished_instance_is_passed_over(fleet, client):
    served = await fleet(2)
    await client.wait_for_instances(2, timeout=1)
    await gone(served[1])
    answers = [await client.call(None) for _ in range(4)]
    assert answers == ["alive"] * 4
    assert client.in_flight(1) == client.in_flight(2) == 0


async def test_a_silent_instance_is_passed_over(fleet, deployment):
    served = await fleet(2)
    await gone(served[1])
    await deployment.runtimes[0].plane.serve(served[1].instance.subject, deaf)
    hasty = await deployment.connect(prologue_timeout=0.2)
    client = await hasty.endpoint("worker", "generate").client()
    stream = await client.generate(None)
    assert stream.instance_id == 2


async def test_an_instance_that_dies_after_taking_the_request_costs_no_timeout(fleet, deployment):
    served = await fleet(1)
    other = await deployment.connect()
    client = await (await deployment.connect()).endpoint("worker", "generate").client()
    assert await client.call(None) == "alive"
    await gone(served[1])
    taken = asyncio.Event()

    async def die(message):
        taken.set()

    await deployment.runtimes[0].plane.serve(served[1].instance.subject, die)
    asking = asyncio.create_task(client.generate(None))
    await taken.wait()
    await other.endpoint("worker", "generate").serve(who, instance_id=2)
    await deployment.runtimes[0].close()
    async with asyncio.timeout(1):
        assert (await asking).instance_id == 2


async def test_an_instance_that_dies_before_accepting_the_request_costs_no_timeout(
    fleet, deployment, monkeypatch
):
    await fleet(1)
    other = await deployment.connect()
    caller = await deployment.connect()
    client = await caller.endpoint("worker", "generate").client()
    assert await client.call(None) == "alive"
    send, unread = caller.plane.send, asyncio.Event()

    async def leave_unread(subject, message, *, timeout):
        unread.set()
        await asyncio.sleep(timeout)

    monkeypatch.setattr(caller.plane, "send", leave_unread)
    asking = asyncio.create_task(client.generate(None))
    await unread.wait()
    monkeypatch.setattr(caller.plane, "send", send)
    await other.endpoint("worker", "generate").serve(who, instance_id=2)
    await deployment.runtimes[0].close()
    async with asyncio.timeout(1):
        assert (await asking).instance_id == 2


async def test_an_instance_that_drains_unseen_is_passed_over(fleet, client):
    served = await fleet(2)
    await client.wait_for_instances(2, timeout=1)
    served[1]._is_leaving = True
    assert [(await client.generate(None)).instance_id for _ in range(3)] == [2, 2, 2]


async def test_the_attempts_are_bounded(fleet, client, deployment):
    served = await fleet(MAX_ATTEMPTS + 2)
    await client.wait_for_instances(len(served), timeout=1)
    for one in served.values():
        one._is_leaving = True
    with pytest.raises(Draining):
        await client.generate(None)
    assert len(client._instances.candidates(())) == len(served) - MAX_ATTEMPTS


async def test_the_only_instance_is_tried_again_by_the_next_request(fleet, client):
    served = (await fleet(1))[1]
    await client.wait_for_instances(timeout=1)
    served._is_leaving = True
    with pytest.raises(Draining):
        await client.generate(None)
    served._is_leaving = False
    assert await client.call(None) == "alive"


async def test_a_changed_record_ends_the_mark(fleet, client):
    served = await fleet(2)
    await client.wait_for_instances(2, timeout=1)
    client._instances.mark_down(served[1].instance)
    assert [(await client.generate(None)).instance_id for _ in range(2)] == [2, 2]
    await served[1].set_metadata({"restarted": True})
    await client.call(None)  # turns of the loop in which the change arrives
    assert {(await client.generate(None)).instance_id for _ in range(2)} == {1, 2}


@pytest.mark.looptime
async def test_the_mark_ends_with_time(fleet, client):
    served = await fleet(2)
    await client.wait_for_instances(2, timeout=1)
    client._instances.mark_down(served[1].instance)
    assert [found.instance_id for found in client._instances.candidates(())] == [2]
    await asyncio.sleep(3.1)
    assert [found.instance_id for found in client._instances.candidates(())] == [1, 2]


async def test_exclude_is_never_used(fleet, client):
    await fleet(2)
    await client.wait_for_instances(2, timeout=1)
    assert [(await client.generate(None, exclude={1})).instance_id for _ in range(2)] == [2, 2]
    with pytest.raises(NoInstances):
        await client.generate(None, exclude={1, 2})


async def test_a_named_instance_has_no_fallback(fleet, client):
    served = await fleet(2)
    await client.wait_for_instances(2, timeout=1)
    assert [(await client.generate(None, instance_id=2)).instance_id for _ in range(2)] == [2, 2]
    await gone(served[2])
    with pytest.raises(NoResponders):
        await client.generate(None, instance_id=2)
    with pytest.raises(NoInstances):
        await client.generate(None, instance_id=3)


async def test_a_direct_client(fleet, deployment):
    await fleet(2)
    endpoint = (await deployment.connect()).endpoint("worker", "generate")
    pinned = await endpoint.client("direct", instance_id=2)
    assert [(await pinned.generate(None)).instance_id for _ in range(2)] == [2, 2]
    free = await endpoint.client("direct")
    assert (await free.generate(None, instance_id=1)).instance_id == 1
    with pytest.raises(InvalidRequest, match="instance_id"):
        await free.generate(None)


async def test_a_refusal_is_not_tried_elsewhere(deployment, client):
    worker = await deployment.connect()
    calls = []

    async def full(request, context):
        calls.append(context.id)
        raise Overloaded("full")

    for number in (1, 2):
        await worker.endpoint("worker", "generate").serve(full, instance_id=number)
    await client.wait_for_instances(2, timeout=1)
    with pytest.raises(Overloaded):
        await client.call(None)
    assert len(calls) == 1


async def test_a_plane_that_is_away_is_nobodys_fault(fleet, client, deployment):
    await fleet(1)
    await client.wait_for_instances(timeout=1)
    deployment.exchange.available = False
    with pytest.raises(MessagingUnavailable):
        await client.generate(None)
    deployment.exchange.available = True
    assert await client.call(None) == "alive"


async def test_least_loaded_prefers_the_idle_instance(deployment):
    worker = await deployment.connect()

    async def wait(request, context):
        yield 1
        await context.wait_stopped()

    for number in (1, 2):
        await worker.endpoint("worker", "generate").serve(wait, instance_id=number)
    client = (
        await (await deployment.connect()).endpoint("worker", "generate").client("least_loaded")
    )
    first = await client.generate(None)
    second = await client.generate(None)
    assert {first.instance_id, second.instance_id} == {1, 2}
    await first.kill()
    third = await client.generate(None)
    assert third.instance_id == first.instance_id
    assert client.in_flight(1) == client.in_flight(2) == 1


async def test_a_broken_record_hides_nobody(fleet, client, deployment, caplog):
    await deployment.runtimes[0].store.put("instances/planner/worker/generate:bad", b"{")
    served = await fleet(1)
    await client.wait_for_instances(timeout=1)
    assert [encode_record(record) for record in client.all_instances] == [
        encode_record(served[1].instance)
    ]
    assert "instance record ignored" in caplog.text


async def test_waiting_for_instances_says_how_many_came(fleet, client):
    await fleet(1)
    with pytest.raises(NoInstances, match="1 of 2 instances within"):
        await client.wait_for_instances(2, timeout=0.05)
