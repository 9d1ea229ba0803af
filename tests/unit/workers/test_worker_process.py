"""Whole workers in this process: discovery and messages in memory, real response streams."""

import asyncio
import json
from contextlib import suppress
from random import Random

import aiohttp
import pytest

from planner.core.role import Role
from runtime.errors import NoInstances, RuntimeFault
from runtime.instance import InstanceState
from runtime.protocol import FinishReason, GenerateRequest, Sampling, TokenDelta
from workers.disaggregation.decision import settings_key
from workers.disaggregation.remote import Outcome


def request(tokens: int = 300, osl: int = 5, name: str = "r", first: int = 100) -> GenerateRequest:
    return GenerateRequest(
        request_id=name,
        token_ids=list(range(first, first + tokens)),
        sampling=Sampling(max_tokens=osl, ignore_eos=True),
    )


async def ask(client, one: GenerateRequest) -> list[TokenDelta]:
    return [delta async for delta in await client.generate(one, response_type=TokenDelta)]


def tokens(deltas: list[TokenDelta]) -> list[int]:
    return [token for delta in deltas for token in delta.token_ids]


async def test_a_worker_is_listed_when_it_is_warm(deployment):
    one = await deployment.start(Role.AGGREGATED, pace={"cold_start": 0.05})
    async with deployment.client("aggregated") as client:
        (record,) = client.instances
        assert record.instance_id == one.instance_id
        assert record.metadata == {
            "name": "aggregated-1",
            "role": "aggregated",
            "metrics_url": one.worker._metrics_url,
            "gpus": 1,
            "max_num_batched_tokens": 8192,
        }
        assert await deployment.models() == ["m"]
        deltas = await ask(client, request())
    assert len(tokens(deltas)) == 5
    assert deltas[-1].finish_reason is FinishReason.LENGTH
    stages = [one.value("start_seconds", stage=s) for s in ("process", "engine", "registered")]
    assert stages == sorted(stages)
    assert stages[1] - stages[0] >= 0.05


async def test_a_worker_may_listen_elsewhere_than_others_reach_it(deployment):
    one = await deployment.start(Role.AGGREGATED, host="worker-1", bind="127.0.0.1")
    port = one.worker._metrics_url.removeprefix("http://worker-1:").removesuffix("/metrics")
    url = f"http://127.0.0.1:{port}/health"
    async with aiohttp.ClientSession() as session, session.get(url) as page:
        assert page.status == 200


async def test_an_address_of_version_6_is_told_in_brackets(deployment):
    one = await deployment.start(Role.AGGREGATED, host="fd00::7", bind="127.0.0.1")
    assert one.worker._metrics_url.startswith("http://[fd00::7]:")


async def test_metrics_and_health_are_there_before_the_engine(deployment, until):
    one = deployment.make(deployment.options(Role.AGGREGATED), cold_start=60.0)
    deployment.running.append(one)
    await until(lambda: bool(one.worker._metrics_url))
    status, text = await one.page("health")
    assert (status, json.loads(text)["state"]) == (503, "starting")
    status, text = await one.page("metrics")
    assert status == 200
    assert 'stage="process"' in text
    one.stop.set()
    assert await one.task == 0  # in the middle of its cold start
    assert await deployment.models() == []


METRICS = [
    "requests_running", "requests_waiting", "waiting_prompt_tokens", "kv_blocks_used",
    "kv_blocks_total", "prefix_cache_hit_tokens_total", "prompt_tokens_total",
    "generated_tokens_total", "step_seconds_count", "preemptions_total", "prefill_queue_depth",
    "remote_prefills_total", "local_prefills_total", "in_flight_requests", "prefill_steps_total",
    "decoded_tokens_total", "kv_tokens_read_total", "prefilled_tokens_total",
    "prefilled_squared_tokens_total",
]  # fmt: skip


async def test_every_series_is_there_with_its_labels(deployment, until):
    one = await deployment.start(Role.DECODE)
    await until(lambda: one.value("prefill_queue_depth") is not None)
    labels = {
        "model": "m",
        "namespace": "planner",
        "component": "decode",
        "instance": f"{one.instance_id:x}",
    }
    missing = [name for name in METRICS if one.value(name, **labels) is None]
    assert missing == []
    assert "_created" not in (await one.page("metrics"))[1]


async def test_unknown_is_left_out(deployment):
    one = await deployment.start(Role.AGGREGATED)
    assert one.value("prefill_queue_depth") is None


async def test_a_long_prompt_is_prefilled_elsewhere_with_the_same_answer(deployment):
    await deployment.start(Role.AGGREGATED)
    prefill = await deployment.start(Role.PREFILL)
    decode = await deployment.start(Role.DECODE)
    async with deployment.client("aggregated") as alone, deployment.client("decode") as client:
        expected = tokens(await ask(alone, request()))
        before = prefill.value("prompt_tokens_total")
        deltas = await ask(client, request())
        assert deltas[0].remote_prefill is True
        assert tokens(deltas) == expected
        assert prefill.value("prompt_tokens_total") == before + 300
        assert decode.value("remote_prefills_total", outcome="done") == 1

        short = await ask(client, request(tokens=128))
        assert short[0].remote_prefill is False
        again = await ask(client, request())  # its blocks are cached here now
        assert (again[0].remote_prefill, again[0].cached_tokens) == (False, 288)
    assert decode.value("local_prefills_total") == 2


async def test_limits_change_while_it_runs(deployment, until):
    await deployment.start(Role.PREFILL)
    decode = await deployment.start(Role.DECODE)
    store = deployment.runtime.store
    async with deployment.client("decode") as client:
        await store.put(settings_key("planner"), b'{"max_local_prefill_length": 10}')
        await asyncio.sleep(0.01)
        assert (await ask(client, request(tokens=50)))[0].remote_prefill is True
        await store.put(settings_key("planner"), b'{"max_prefill_queue_size": 0}')
        await asyncio.sleep(0.01)
        assert (await ask(client, request(tokens=500)))[0].remote_prefill is False
    assert decode.value("remote_prefills_total", outcome="done") == 1


async def test_without_prefill_workers_everything_is_done_here(deployment):
    await deployment.start(Role.DECODE)
    async with deployment.client("decode") as client:
        assert (await ask(client, request()))[0].remote_prefill is False


async def test_draining_finishes_what_runs_and_takes_nothing_new(deployment, until):
    one = await deployment.start(Role.AGGREGATED)
    async with deployment.client("aggregated") as client:
        response = await client.generate(request(osl=200), response_type=TokenDelta)
        received = [await anext(response)]
        one.stop.set()
        await until(lambda: not client.instances)
        assert client.all_instances[0].state is InstanceState.DRAINING
        assert await deployment.models() == []
        status, text = await one.page("health")
        assert (status, json.loads(text)["state"]) == (503, "draining")
        with pytest.raises(NoInstances):
            await ask(client, request(name="new"))
        received += [delta async for delta in response]
        assert len(tokens(received)) == 200
        assert await one.task == 0
        await until(lambda: not client.all_instances)


async def test_the_drain_timeout_ends_a_long_response_typed(deployment):
    one = await deployment.start(Role.AGGREGATED, drain_timeout=0.05)
    async with deployment.client("aggregated") as client:
        response = await client.generate(request(osl=100_000), response_type=TokenDelta)
        await anext(response)
        one.stop.set()
        with pytest.raises(RuntimeFault) as caught:
            async for _ in response:
                pass
    assert caught.value.code == "draining"


async def test_a_draining_prefill_worker_is_visible_and_finishes(deployment, until):
    prefill = await deployment.start(Role.PREFILL, pace={"speedup": 0.01})  # 0.23 s a prompt
    await deployment.start(Role.DECODE)
    watched = await deployment.runtime.endpoint("prefill", "prefill").client()
    async with deployment.client("decode") as client:
        task = asyncio.create_task(ask(client, request()))
        await until(lambda: prefill.value("in_flight_requests") == 1)
        prefill.stop.set()
        await until(lambda: not watched.instances)
        assert watched.all_instances[0].state is InstanceState.DRAINING
        assert (await task)[0].remote_prefill is True
        assert await prefill.task == 0
    await watched.close()


async def test_an_engine_that_fails_ends_the_worker(deployment):
    one = await deployment.start(Role.AGGREGATED)
    one.engine._on_step = lambda seconds: 1 / 0
    async with deployment.client("aggregated") as client:
        with pytest.raises(RuntimeFault):
            await ask(client, request())
    assert await one.task == 1


async def test_a_metrics_port_that_is_taken_is_said(deployment, caplog):
    one = await deployment.start(Role.AGGREGATED)
    port = int(one.worker._metrics_url.split(":")[2].split("/")[0])
    other = deployment.make(deployment.options(Role.AGGREGATED, metrics_port=port))
    assert await other.task == 2
    assert str(port) in caplog.text


async def test_clients_that_leave_leave_nothing_behind(deployment, until):
    await deployment.start(Role.PREFILL, pace={"speedup": 0.05})
    decode = await deployment.start(Role.DECODE)
    async with deployment.client("decode") as client:
        for number in range(12):
            stream = await client.generate(
                request(tokens=200 + number, osl=10_000, name=f"r{number}"),
                response_type=TokenDelta,
            )
            if number % 2:
                await anext(stream)
            await stream.kill()
        await until(lambda: decode.value("in_flight_requests") == 0)
        await until(lambda: decode.engine.stats().kv_blocks_used == 0)


@pytest.mark.parametrize("seed", range(3))
async def test_whatever_happens_to_requests_nothing_is_held_in_the_end(deployment, until, seed):
    rng = Random(seed)
    slow = {"speedup": 0.1}
    prefill = [await deployment.start(Role.PREFILL, pace=slow) for _ in range(2)]
    decode = await deployment.start(Role.DECODE, remote_prefill_timeout=0.1)
    for one in prefill:
        one.engine.prefill = _failing_now_and_then(one.engine.prefill, rng)

    async def live(client, number: int) -> None:
        await asyncio.sleep(rng.uniform(0, 0.5))
        tokens, osl = rng.randint(1, 2000), rng.randint(1, 40)
        one = request(tokens=tokens, osl=osl, name=f"r{number}", first=number * 10_000)
        with suppress(RuntimeFault):
            async with await client.generate(one, response_type=TokenDelta) as stream:
                patience = rng.choice([0, 1, 5, 1000])
                async for _ in stream:
                    patience -= 1
                    if patience < 0:
                        break

    async with deployment.client("decode") as client:
        lives = [asyncio.create_task(live(client, number)) for number in range(40)]
        await asyncio.sleep(0.2)
        prefill[0].stop.set()
        await asyncio.gather(*lives)
        await until(lambda: decode.value("in_flight_requests") == 0)
        await until(lambda: decode.engine.stats().kv_blocks_used == 0)
    outcomes = [decode.value("remote_prefills_total", outcome=o) for o in Outcome]
    assert sum(outcomes) > 10
    await until(lambda: prefill[1].value("in_flight_requests") == 0)


def _failing_now_and_then(prefill, rng: Random):
    async def failing(request):
        if rng.random() < 0.3:
            raise RuntimeError("out of luck")
        return await prefill(request)

    return failing
