"""Models come and go with the workers that offer them, and nothing bad in the store spreads."""

import pytest

from runtime.frontend.frontend import FrontendOptions
from runtime.frontend.relay import RelayLimits
from runtime.models import ModelEntry, encode_entry, model_key
from runtime.protocol import GenerateRequest

MODEL = "tiny/chat"


@pytest.fixture
def options(request):
    grace = getattr(request, "param", 60.0)
    return FrontendOptions(port=0, grace=grace, relay=RelayLimits(queue_timeout=0.1))


async def names(deployment):
    async with deployment.http.get("/v1/models") as answer:
        return [model["id"] for model in (await answer.json())["data"]]


async def ask(deployment):
    body = {"model": MODEL, "prompt": "hi"}
    async with deployment.http.post("/v1/completions", json=body) as answer:
        return answer.status


async def test_a_model_comes_with_its_first_worker_and_waits_after_its_last(deployment):
    assert await names(deployment) == []
    assert await ask(deployment) == 404
    worker = await deployment.worker()
    await deployment.ready()
    assert await names(deployment) == [MODEL]
    assert await ask(deployment) == 200
    await worker.runtime.close()
    await deployment.ready(0)
    assert await names(deployment) == [MODEL]
    assert await ask(deployment) == 503
    await deployment.worker()
    await deployment.ready()
    assert await ask(deployment) == 200


@pytest.mark.parametrize("options", [0.0], indirect=True)
async def test_without_grace_a_model_goes_with_its_last_worker(deployment):
    worker = await deployment.worker()
    await deployment.ready()
    await worker.runtime.close()
    await deployment.until(lambda: deployment.served() is None)
    assert await ask(deployment) == 404


async def test_a_withdrawn_card_takes_its_instance_out_of_use(deployment, worker):
    other = await deployment.worker()
    await deployment.ready(2)
    await worker.runtime.store.delete(worker.key)
    await deployment.ready(1)
    for _ in range(4):
        assert await ask(deployment) == 200
    assert (len(worker.requests), len(other.requests)) == (0, 4)


async def test_another_tokenizer_under_the_same_name_is_not_used(deployment, worker, caplog):
    other = await deployment.worker(checksum="2")
    await deployment.until(lambda: "its tokenizer is not the one in use" in caplog.text)
    for _ in range(4):
        assert await ask(deployment) == 200
    assert (len(worker.requests), len(other.requests)) == (4, 0)
    await worker.runtime.close()  # once nobody offers the first, the second takes its place
    await deployment.ready(1)
    assert await ask(deployment) == 200
    assert len(other.requests) == 1


async def test_two_components_may_serve_one_model(deployment, worker):
    other = await deployment.worker(component="aggregated")
    await deployment.ready(2)
    for _ in range(4):
        assert await ask(deployment) == 200
    assert (len(worker.requests), len(other.requests)) == (2, 2)


async def test_another_model_on_the_same_endpoint_keeps_its_instances(deployment, worker):
    endpoint = worker.runtime.endpoint("decode", "generate")

    async def refuse(request, context):
        raise AssertionError

    await endpoint.serve(refuse, request_type=GenerateRequest)  # listed, but offers no model
    for _ in range(4):
        assert await ask(deployment) == 200


def record(deployment, **changes):
    fields = {
        "name": "broken", "path": str(deployment.folder), "context_length": 8, "checksum": "1",
        "eos_token_ids": (), "component": "decode", "endpoint": "generate", **changes,
    }  # fmt: skip
    entry = ModelEntry(**fields)
    return model_key(entry, namespace="test", instance_id=7), encode_entry(entry)


@pytest.mark.parametrize(
    "broken",
    [
        pytest.param(lambda _: ("models/test/x/decode:7", b"{"), id="no JSON"),
        pytest.param(lambda _: ("models/test/x/decode:7", b"{}"), id="no card"),
        pytest.param(lambda d: ("models/test/x/decode:zz", record(d)[1]), id="no instance"),
        pytest.param(lambda d: record(d, path="/nowhere"), id="no folder"),
        pytest.param(lambda d: record(d, component="a/b"), id="no component"),
    ],
)
async def test_a_broken_record_is_reported_once_and_stops_nothing(deployment, caplog, broken):
    runtime = await deployment.connect()
    key, value = broken(deployment)
    await runtime.store.put(key, value)
    await deployment.until(lambda: "model record not used" in caplog.text)
    await deployment.worker()
    await deployment.ready()
    assert await names(deployment) == [MODEL]
    assert await ask(deployment) == 200
    assert caplog.text.count("model record not used") == 1
    assert "Traceback" not in caplog.text


async def test_what_is_known_is_served_while_the_store_is_away(deployment, worker):
    deployment.backend.go_away()
    assert await ask(deployment) == 200
    deployment.backend.come_back()
