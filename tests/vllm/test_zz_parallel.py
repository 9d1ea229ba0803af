"""One engine over two ranks: on a CPU that shows that it works, not that it is faster."""

import pytest

pytestmark = [pytest.mark.vllm, pytest.mark.asyncio(loop_scope="session")]


async def test_tensor_parallel_starts_answers_and_leaves_nothing(deployment, requests, ask):
    """Last, when the other engines are gone: it takes the memory of three processes."""
    for other in deployment.workers.values():
        await deployment.end(other)
    worker = await deployment.start("aggregated", "--parallelism", "tp2")
    await deployment.ready(worker)
    client = await deployment.client("aggregated")
    (instance,) = client.instances
    assert instance.metadata["gpus"] == 2
    (last,) = (await ask(client, requests.make(osl=8)))[-1:]
    assert last.finish_reason is not None
    assert await deployment.end(worker) == 0
