"""Workers that sleep and are woken, by what they answer and how they are listed."""

import asyncio
import json
from collections.abc import AsyncIterator

import aiohttp
import pytest

from planner.core.role import Role
from runtime.errors import NoInstances, RuntimeFault
from runtime.instance import InstanceState
from runtime.protocol import GenerateRequest, Sampling, TokenDelta


def request(tokens: int = 300, osl: int = 5, name: str = "r") -> GenerateRequest:
    return GenerateRequest(
        request_id=name,
        token_ids=list(range(100, 100 + tokens)),
        sampling=Sampling(max_tokens=osl, ignore_eos=True),
    )


async def ask(client, one: GenerateRequest) -> list[TokenDelta]:
    return [delta async for delta in await client.generate(one, response_type=TokenDelta)]


async def post(worker, path: str) -> tuple[int, str]:
    url = worker.worker._metrics_url.removesuffix("metrics") + path
    async with aiohttp.ClientSession() as session, session.post(url) as answer:
        return answer.status, await answer.text()


async def health(worker) -> tuple[int, str]:
    status, text = await worker.page("health")
    return status, json.loads(text)["state"]


@pytest.fixture
async def aggregated(deployment) -> AsyncIterator[tuple[object, object]]:
    one = await deployment.start(Role.AGGREGATED)
    async with deployment.client("aggregated") as client:
        yield one, client


async def test_a_sleeping_worker_is_listed_as_such_and_serves_nothing(
    deployment, aggregated, until
):
    one, client = aggregated
    expected = await ask(client, request())
    assert await post(one, "sleep") == (200, '{"state":"sleeping"}')
    assert await post(one, "sleep") == (200, '{"state":"sleeping"}')
    await until(lambda: not client.instances)
    assert [record.state for record in client.all_instances] == [InstanceState.SLEEPING]
    assert await deployment.models() == []
    assert await health(one) == (503, "sleeping")
    with pytest.raises(NoInstances):
        await ask(client, request())

    assert await post(one, "wake") == (200, '{"state":"ready"}')
    assert await post(one, "wake") == (200, '{"state":"ready"}')
    await until(lambda: bool(client.instances))
    assert await deployment.models() == ["m"]
    assert await health(one) == (200, "ready")
    woken = await ask(client, request())
    assert woken[0].cached_tokens == 0  # its cache is gone
    assert [d.token_ids for d in woken] == [d.token_ids for d in expected]


async def test_what_runs_is_finished_first(aggregated, until):
    one, client = aggregated
    response = await client.generate(request(osl=100), response_type=TokenDelta)
    await anext(response)
    falling = asyncio.create_task(post(one, "sleep"))
    await until(lambda: not client.instances)
    assert client.all_instances[0].state is InstanceState.DRAINING
    assert await health(one) == (503, "draining")
    assert len([delta async for delta in response]) == 99
    assert (await falling)[0] == 200
    await until(lambda: client.all_instances[0].state is InstanceState.SLEEPING)


async def test_a_request_that_arrives_late_is_sent_elsewhere(aggregated, until):
    one, client = aggregated
    await post(one, "sleep")
    record = one.worker._registration._served.instance
    client._instances._ready = (record,)  # a client that has not heard of it
    with pytest.raises(RuntimeFault) as refused:
        await ask(client, request())
    assert refused.value.retryable


async def test_who_does_not_finish_in_time_stays_up(deployment, until):
    one = await deployment.start(Role.AGGREGATED, drain_timeout=0.05)
    async with deployment.client("aggregated") as client:
        response = await client.generate(request(osl=2000), response_type=TokenDelta)
        await anext(response)
        status, text = await post(one, "sleep")
        assert status == 409
        assert "1 requests still ran after 0.05 s" in text
        await until(lambda: bool(client.instances))
        assert await deployment.models() == ["m"]
        assert await health(one) == (200, "ready")
        assert len(await ask(client, request(name="other"))) == 5
        await response.kill()


async def test_an_engine_that_fails_to_sleep_goes_on(aggregated, until):
    one, client = aggregated

    async def fail() -> None:
        raise RuntimeFault("no room on the host")

    one.engine.sleep = fail
    status, text = await post(one, "sleep")
    assert (status, "no room on the host" in text) == (500, True)
    await until(lambda: bool(client.instances))
    assert len(await ask(client, request())) == 5


async def test_a_prefill_worker_takes_nothing_from_the_queue_while_it_sleeps(deployment, until):
    prefill = await deployment.start(Role.PREFILL)
    decode = await deployment.start(Role.DECODE)
    async with deployment.client("decode") as client:
        assert (await ask(client, request()))[0].remote_prefill is True
        await post(prefill, "sleep")
        assert (await ask(client, request(tokens=400)))[0].remote_prefill is False
        before = prefill.value("prompt_tokens_total")
        await post(prefill, "wake")
        assert (await ask(client, request(tokens=700)))[0].remote_prefill is True
    assert prefill.value("prompt_tokens_total") > before
    assert decode.value("remote_prefills_total", outcome="unavailable") == 0


async def test_a_sleeping_worker_can_be_ended(aggregated, until):
    one, client = aggregated
    await post(one, "sleep")
    one.stop.set()
    assert await one.task == 0
    await until(lambda: not client.all_instances)


async def test_one_that_is_ended_while_it_falls_asleep_ends(deployment, until):
    one = await deployment.start(Role.AGGREGATED, drain_timeout=0.5)
    async with deployment.client("aggregated") as client:
        response = await client.generate(request(osl=200), response_type=TokenDelta)
        await anext(response)
        falling = asyncio.create_task(post(one, "sleep"))
        await until(lambda: not client.instances)
        one.stop.set()
        assert len([delta async for delta in response]) == 199
        assert await one.task == 0
        status, text = await falling
        assert (status, "leaving" in text) == (409, True)


async def test_before_it_is_ready_it_is_not_put_to_sleep(deployment, until):
    one = deployment.make(deployment.options(Role.AGGREGATED), cold_start=60.0)
    deployment.running.append(one)
    await until(lambda: bool(one.worker._metrics_url))
    assert (await post(one, "sleep"))[0] == 409


async def test_an_engine_that_cannot_sleep_says_so(aggregated, monkeypatch):
    one, client = aggregated
    monkeypatch.setattr(type(one.engine), "why_awake", "it has too much to do")
    status, text = await post(one, "sleep")
    assert (status, "it has too much to do" in text) == (501, True)
    assert await health(one) == (200, "ready")
    assert len(await ask(client, request())) == 5


@pytest.mark.parametrize("address", [{"host": "0.0.0.0"}, {"bind": "0.0.0.0"}], ids=str)
async def test_other_machines_cannot_put_it_to_sleep(deployment, address):
    one = await deployment.start(Role.AGGREGATED, **address)
    assert (await post(one, "sleep"))[0] == 403
