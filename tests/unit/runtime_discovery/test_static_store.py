"""A file of addresses reads like a store, and says in one line what is wrong with it."""

import copy
import json
from pathlib import Path

import msgspec
import pytest

from runtime.discovery.open import open_store
from runtime.discovery.static import StaticStore
from runtime.errors import InvalidDeployment, StoreUnavailable
from runtime.instance import InstanceState, decode_record, encode_record
from runtime.models import decode_entry

INSTANCE = {"component": "decode", "endpoint": "generate", "instance_id": 26, "subject": "d.1"}
MODEL = {
    "name": "Qwen/Qwen3",
    "path": "/models/qwen",
    "context_length": 4096,
    "eos_token_ids": [1],
    "checksum": "c",
    "component": "decode",
    "endpoint": "generate",
}
KEY = "instances/planner/decode/generate:1a"
MODEL_KEY = "models/planner/qwen-qwen3/decode:1a"


def written(folder: Path, content: object) -> Path:
    path = folder / "static.json"
    path.write_text(content if isinstance(content, str) else json.dumps(content))
    return path


@pytest.fixture
def store(tmp_path: Path) -> StaticStore:
    second = INSTANCE | {"instance_id": 27, "subject": None, "metadata": {"role": "decode"}}
    path = written(tmp_path, {"instances": [INSTANCE, second], "models": [MODEL]})
    return StaticStore(path)


async def test_the_file_reads_like_the_records_of_running_instances(store):
    watch = await store.watch("instances/planner/decode/generate:")
    first, second = (decode_record(watch.entries[key]) for key in (KEY, KEY[:-1] + "b"))
    assert (first.instance_id, first.subject, first.state) == (26, "d.1", InstanceState.READY)
    assert second.subject == "planner.decode.generate-1b"
    assert second.metadata == {"role": "decode"}
    assert await store.get(KEY) == watch.entries[KEY]


async def test_every_instance_of_its_endpoint_serves_a_model(store):
    watch = await store.watch("models/planner/")
    assert set(watch.entries) == {MODEL_KEY, MODEL_KEY[:-1] + "b"}
    entry = decode_entry(watch.entries[MODEL_KEY])
    assert (entry.name, entry.component, entry.eos_token_ids) == ("Qwen/Qwen3", "decode", (1,))


async def test_a_listed_instance_may_say_how_it_is(store, tmp_path):
    watch = await store.watch("instances/")
    record = decode_record(watch.entries[KEY])
    draining = msgspec.structs.replace(record, state=InstanceState.DRAINING)
    await store.put(KEY, encode_record(draining), leased=True)
    assert decode_record(watch.entries[KEY]).state is InstanceState.DRAINING
    await store.delete(MODEL_KEY)
    assert await store.get(MODEL_KEY) is None
    other_process = StaticStore(tmp_path / "static.json")
    assert await other_process.get(KEY) == encode_record(record)
    assert await other_process.get(MODEL_KEY) is not None


async def test_what_the_file_does_not_list_is_refused(store):
    record = decode_record(await store.get(KEY))
    elsewhere = encode_record(msgspec.structs.replace(record, subject="d.2"))
    stranger = msgspec.structs.replace(record, instance_id=99)
    with pytest.raises(InvalidDeployment, match=f"does not list {KEY[:-2]}63"):
        await store.put(stranger.key, encode_record(stranger), leased=True)
    with pytest.raises(InvalidDeployment, match=f"lists {KEY} at d.1, not d.2"):
        await store.put(KEY, elsewhere, leased=True)
    with pytest.raises(InvalidDeployment, match="is not an instance record"):
        await store.put(KEY, b"{}", leased=True)
    with pytest.raises(InvalidDeployment, match="keeps no settings: config/x"):
        await store.put("config/x", b"1")
    with pytest.raises(InvalidDeployment, match="cannot say who owns leader"):
        await store.create("leader", b"me")
    assert decode_record(await store.get(KEY)) == record


async def test_a_closed_store_refuses(store):
    assert store.healthy
    await store.close()
    assert not store.healthy
    with pytest.raises(StoreUnavailable):
        await store.get(KEY)


async def test_the_store_of_an_address_is_the_file(tmp_path):
    store = await open_store(f"static:{written(tmp_path, {'instances': [INSTANCE]})}")
    assert await store.get(KEY) is not None


def without(mapping: dict[str, object], key: str) -> dict[str, object]:
    changed = copy.deepcopy(mapping)
    del changed[key]
    return changed


BAD_FILES = [
    pytest.param("{", "truncated", id="not JSON"),
    pytest.param({}, "missing required field `instances`", id="no instances"),
    pytest.param({"instances": [], "nodes": []}, "unknown field `nodes`", id="unknown field"),
    pytest.param(
        {"instances": [INSTANCE, INSTANCE | {"instance_id": "1a"}]},
        r"Expected `int`, got `str` - at `\$.instances\[1\].instance_id`",
        id="wrong type",
    ),
    pytest.param(
        {"instances": [without(INSTANCE, "component")]},
        r"missing required field `component` - at `\$.instances\[0\]`",
        id="missing field",
    ),
    pytest.param(
        {"instances": [INSTANCE | {"component": "de code"}]},
        r"instances\[0\]: component 'de code': 1 to 64 letters",
        id="bad name",
    ),
    pytest.param(
        {"instances": [INSTANCE | {"instance_id": 0}]},
        r"instances\[0\]: instance_id 0: above 0 is allowed",
        id="bad id",
    ),
    pytest.param(
        {"instances": [INSTANCE, INSTANCE | {"subject": "d.2"}]},
        f"instance {KEY} is listed 2 times, once is allowed",
        id="instance twice",
    ),
    pytest.param(
        {"instances": [INSTANCE, INSTANCE | {"instance_id": 27}]},
        "subject d.1 is listed 2 times, once is allowed",
        id="subject twice",
    ),
    pytest.param(
        {"instances": [INSTANCE], "models": [MODEL | {"component": "prefill"}]},
        r"models\[0\]: 'Qwen/Qwen3' is served by instances/planner/prefill/generate, of which no",
        id="model of nobody",
    ),
    pytest.param(
        {"instances": [INSTANCE], "models": [without(MODEL, "checksum")]},
        r"missing required field `checksum` - at `\$.models\[0\]`",
        id="incomplete model",
    ),
]


@pytest.mark.parametrize(("content", "reason"), BAD_FILES)
def test_a_bad_file_is_refused_in_one_line(tmp_path, content, reason):
    path = written(tmp_path, content)
    with pytest.raises(InvalidDeployment, match=reason) as refusal:
        StaticStore(path)
    assert refusal.value.message.startswith(f"static file {path}: ")
    assert "\n" not in refusal.value.message


def test_a_missing_file_is_named(tmp_path):
    path = tmp_path / "none.json"
    with pytest.raises(InvalidDeployment, match=f"^static file {path}: No such file or directory$"):
        StaticStore(path)
