"""What real engines have cached reaches routers by its names, and is what the engines then find."""

import asyncio

import pytest
from msgspec.structs import replace

from runtime.protocol import TokenDelta

pytestmark = [pytest.mark.vllm, pytest.mark.asyncio(loop_scope="session")]

BLOCK = 32
PATIENCE = 30.0


@pytest.mark.parametrize("role", ["aggregated", "decode"])
async def test_a_router_expects_what_the_engine_finds(deployment, trio, requests, role):
    client = await deployment.runtime.endpoint(role, "generate").client("kv")
    worker = client.instances[0].instance_id
    router = client._strategy
    one = requests.make(tokens=10 * BLOCK + 5, osl=4)

    def expected() -> int:
        placement = router.place(client.instances, one.token_ids)
        placement.end()
        return placement.cached_tokens

    async def asked(request) -> tuple[int, int]:
        stream = await client.generate(
            request, token_ids=request.token_ids, response_type=TokenDelta
        )
        deltas = [delta async for delta in stream]
        return stream._call.cached_tokens, deltas[0].cached_tokens

    assert (await asked(one))[0] == 0
    async with asyncio.timeout(PATIENCE):
        while not router.cached_blocks(worker) or expected() < 10 * BLOCK:  # noqa: ASYNC110 - over NATS
            await asyncio.sleep(0.02)
    again = replace(one, request_id=f"{one.request_id}-again")
    assert await asked(again) == (10 * BLOCK, 10 * BLOCK)
    assert router.loads == {}
    await client.close()
