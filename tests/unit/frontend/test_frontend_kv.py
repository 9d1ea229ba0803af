"""A frontend that routes by caches: prompts come back to where they were, nothing stays in hand."""

import asyncio

import pytest

from runtime.errors import Draining
from runtime.frontend.frontend import FrontendOptions
from runtime.frontend.relay import RelayLimits
from runtime.router.kv.cost import KvSettings

MODEL = "tiny/chat"
PROMPT = "The planner keeps every deployment inside its latency targets. " * 4


@pytest.fixture
def options():
    kv = KvSettings(overlap_weight=2.0)
    return FrontendOptions(port=0, strategy="kv", kv=kv, relay=RelayLimits(queue_timeout=0.3))


@pytest.fixture
async def workers(deployment):
    made = [await deployment.worker() for _ in range(3)]
    await deployment.ready(3)
    return made


@pytest.fixture
def router(deployment, workers):
    (client,) = deployment.frontend._directory._clients.values()
    yield client._strategy
    assert client._strategy.loads == {}


async def ask(deployment, prompt, **fields):
    body = {"model": MODEL, "prompt": prompt, **fields}
    async with deployment.http.post("/v1/completions", json=body) as answer:
        return await answer.json()


async def test_a_prompt_comes_back_to_where_it_was(deployment, workers, router, byte_level):
    for _ in range(4):
        await ask(deployment, PROMPT)
    counts = sorted(len(worker.requests) for worker in workers)
    assert counts == [0, 0, 4]
    tokens = len(byte_level.encode(PROMPT).ids)
    assert tokens >= 32
    assert deployment.value("expected_cached_tokens_total") == 3 * (tokens // 16 * 16)


async def test_other_prompts_are_spread(deployment, workers, router):
    for number in range(3):
        await ask(deployment, f"{number} {PROMPT}")
    assert [len(worker.requests) for worker in workers] == [1, 1, 1]


async def test_a_response_that_goes_on_elsewhere_is_in_hand_there(deployment, workers, router):
    await ask(deployment, PROMPT)
    (first,) = [worker for worker in workers if worker.requests]
    first.breaks = [(2, Draining("leaving"))]
    answer = await ask(deployment, PROMPT)
    assert answer["choices"][0]["finish_reason"] == "stop"
    assert [request.resumed for request in first.requests] == [0, 0]
    (second,) = [worker for worker in workers if worker is not first and worker.requests]
    assert [request.resumed for request in second.requests] == [2]
    assert deployment.value("expected_cached_tokens_total") >= 32  # of the first try alone


async def test_a_client_that_hangs_up_leaves_nothing_in_hand(deployment, workers, router):
    for worker in workers:
        worker.hold_after = 2
    task = asyncio.create_task(ask(deployment, PROMPT, stream=True))
    await deployment.until(lambda: any(worker.held.is_set() for worker in workers))
    (load,) = router.loads.values()
    await deployment.until(lambda: load.prefill_tokens == 0)  # once the first token has come over
    assert load.blocks > 0
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)
    await deployment.until(lambda: router.loads == {})
