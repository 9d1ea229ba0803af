"""Static mode: two processes that share a file of addresses and a NATS server, and no etcd."""

import json

import pytest

from runtime.config import RuntimeConfig
from runtime.errors import InvalidDeployment, NoInstances, RuntimeFault
from runtime.runtime import DistributedRuntime

pytestmark = pytest.mark.e2e


@pytest.fixture
def config(tmp_path, nats_server) -> RuntimeConfig:
    path = tmp_path / "static.json"
    namespace = tmp_path.name.replace("_", "-")[:60]  # the server is shared with other tests
    instances = [
        {"namespace": namespace, "component": "decode", "endpoint": "echo", "instance_id": number}
        for number in (1, 2)
    ]
    path.write_text(json.dumps({"instances": instances}))
    return RuntimeConfig(store_url=f"static:{path}", plane_url=nats_server.url, namespace=namespace)


async def echo(request, _context):
    yield request


async def test_listed_instances_are_called_and_a_dead_one_is_passed_over(config):
    async with (
        await DistributedRuntime.connect(config) as worker,
        await DistributedRuntime.connect(config) as frontend,
    ):
        client = await frontend.endpoint("decode", "echo").client()
        with pytest.raises(RuntimeFault) as nobody:
            await client.generate("nobody runs yet")
        assert nobody.value.retryable
        await worker.endpoint("decode", "echo").serve(echo, instance_id=2)
        for number in range(4):
            stream = await client.generate(number)
            assert [item async for item in stream] == [number]


async def test_an_instance_that_is_not_listed_cannot_serve(config):
    async with await DistributedRuntime.connect(config) as worker:
        with pytest.raises(InvalidDeployment, match="does not list"):
            await worker.endpoint("decode", "echo").serve(echo, instance_id=3)
        client = await worker.endpoint("decode", "other").client()
        with pytest.raises(NoInstances):
            await client.generate("nobody is listed")
