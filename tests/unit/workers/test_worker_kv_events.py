"""Workers tell what their engines have cached, and requests go there."""

from random import Random

import pytest
from msgspec.structs import replace

from planner.core.role import Role
from runtime.kv_events.messages import decode_news, news_subject
from runtime.protocol import GenerateRequest, Sampling, TokenDelta

OSL = 8
SYSTEM = list(range(100, 164))


async def finished(client, request: GenerateRequest) -> tuple[int, list[int], int]:
    """Return the cached tokens, the output, and which instance made it."""
    stream = await client.generate(request, token_ids=request.token_ids, response_type=TokenDelta)
    deltas = [delta async for delta in stream]
    output = [token for delta in deltas for token in delta.token_ids]
    return deltas[0].cached_tokens or 0, output, stream.instance_id


def ask(name: str, tokens: list[int]) -> GenerateRequest:
    sampling = Sampling(max_tokens=OSL, ignore_eos=True)
    return GenerateRequest(request_id=name, token_ids=tokens, sampling=sampling)


@pytest.fixture
def until_told(until):
    async def wait(client, workers) -> None:
        router = client._strategy
        await until(
            lambda: all(
                router.cached_blocks(one.instance_id) == len(one.engine.ledger) > 0
                for one in workers
            )
        )

    return wait


async def test_turns_of_a_conversation_stay_where_the_last_one_was(deployment, until_told):
    workers = [await deployment.start(Role.AGGREGATED, name=f"a-{n}") for n in range(3)]
    client = await deployment.runtime.endpoint("aggregated", "generate").client("kv")
    await client.wait_for_instances(3, timeout=5)
    await until_told(client, workers)  # each has warmed itself up with a prompt of its own
    seen: list[set[int]] = []
    for conversation in range(6):
        tokens, turns = [conversation] * 200, set()
        for turn in range(4):
            request = ask(f"{conversation}-{turn}", tokens)
            cached, output, instance = await finished(client, request)
            turns.add(instance)
            # All but the block that was not full, and the token that ends the prompt before it.
            assert cached >= (len(tokens) - 60) // 16 * 16 if turn else cached < 16
            tokens = [*tokens, *output, *([conversation] * 40)]
            await until_told(client, workers)
        seen.append(turns)
    assert [len(turns) for turns in seen] == [1] * 6
    assert len(set().union(*seen)) == 3
    assert client._strategy.loads == {}


async def test_the_cache_of_the_decode_side_counts(deployment, until_told):
    await deployment.start(Role.PREFILL)
    decoders = [await deployment.start(Role.DECODE, name=f"d-{n}") for n in range(3)]
    client = await deployment.runtime.endpoint("decode", "generate").client("kv")
    await client.wait_for_instances(3, timeout=5)
    places = []
    for turn in range(3):
        for number in range(6):
            cached, _, instance = await finished(
                client, ask(f"{turn}-{number}", [number] * (400 + turn))
            )
            places.append(instance)
            await until_told(client, decoders)
            assert (cached >= 384) == (turn > 0), (turn, number)
    assert places[:6] == places[6:12] == places[12:]
    assert sum(one.value("remote_prefills_total", outcome="done") for one in decoders) == 6


async def test_more_is_cached_than_where_the_idlest_is_taken(deployment, until_told):
    workers = [await deployment.start(Role.AGGREGATED, name=f"a-{n}") for n in range(3)]
    endpoint = deployment.runtime.endpoint("aggregated", "generate")
    found = {}
    for first, strategy in ((0, "least_loaded"), (100, "kv")):
        client = await endpoint.client(strategy, rng=Random(1))
        await client.wait_for_instances(3, timeout=5)
        kv = await endpoint.client("kv")
        cached = 0
        for turn in range(1, 5):
            for number in range(first, first + 6):
                request = ask(f"{number}-{turn}", [number] * 160 * turn)
                cached += (await finished(client, request))[0]
                await until_told(kv, workers)
        found[strategy] = cached
        await kv.close()
    assert found["kv"] == 6 * (160 + 320 + 480)
    assert found["least_loaded"] < 0.7 * found["kv"]


async def test_a_conversation_goes_on_when_its_worker_has_left(deployment, until, until_told):
    workers = [await deployment.start(Role.AGGREGATED, name=f"a-{n}") for n in range(2)]
    client = await deployment.runtime.endpoint("aggregated", "generate").client("kv")
    await client.wait_for_instances(2, timeout=5)
    await until_told(client, workers)
    request = ask("1", [5] * 300)
    _, _, instance = await finished(client, request)
    left, right = sorted(workers, key=lambda one: one.instance_id != instance)
    left.stop.set()
    await until(lambda: left.task.done())
    again = replace(request, request_id="2")
    assert (await finished(client, again))[::2] == (0, right.instance_id)
    await until_told(client, [right])
    assert client._strategy.cached_blocks(left.instance_id) == 0
    assert (await finished(client, replace(request, request_id="3")))[0] == 288


async def test_decode_workers_tell_and_prefill_workers_do_not(deployment, until):
    heard: dict[str, list] = {}
    for role in (Role.DECODE, Role.PREFILL):
        messages = heard[role] = []
        await deployment.runtime.plane.subscribe(news_subject("planner", role), messages.append)
    await deployment.start(Role.PREFILL)
    decode = await deployment.start(Role.DECODE)
    async with deployment.client("decode") as client:
        await client.wait_for_instances(timeout=5)
        await finished(client, ask("1", list(range(400))))
    await until(lambda: len(heard[Role.DECODE]) > 1)
    news = [decode_news(message) for message in heard[Role.DECODE]]
    assert {one.instance_id for one in news} == {decode.instance_id}
    assert [one.number for one in news] == list(range(1, len(news) + 1))
    assert heard[Role.PREFILL] == []


async def test_a_sleeping_worker_has_nothing_cached(deployment, until, until_told):
    worker = await deployment.start(Role.AGGREGATED)
    client = await deployment.runtime.endpoint("aggregated", "generate").client("kv")
    await client.wait_for_instances(timeout=5)
    await finished(client, ask("1", [5] * 300))
    await until_told(client, [worker])
    await worker.worker._bed.sleep()
    await until(lambda: client._strategy.cached_blocks(worker.instance_id) == 0)
