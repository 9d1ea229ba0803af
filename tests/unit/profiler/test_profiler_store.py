"""A measurement is found again by everything it depends on, and survives a kill."""

import pytest

from planner.core.profile import Parallelism
from planner.errors import PlannerError
from profiler.effort import Effort
from profiler.ports import DecodeSample, EngineFacts, PrefillSample
from profiler.record import DecodeAsk, PointRecord, PrefillAsk, StartRecord
from profiler.store import FileStore, MemoryStore, point_key, start_key

IDENTITY = {"model": "m", "gpu": "g"}
ASK = PrefillAsk(isl=128)
KEY = point_key(IDENTITY, Parallelism(), ASK, effort=Effort())
POINT = PointRecord(
    parallelism=Parallelism(),
    ask=ASK,
    samples=(PrefillSample(isl=128, ttft_seconds=0.1),),
    first_passes=(PrefillSample(isl=128, ttft_seconds=0.3),),
)
DECODED = PointRecord(
    parallelism=Parallelism(tp=2),
    ask=DecodeAsk(concurrency=4, context=100),
    samples=(DecodeSample(batch=4.0, kv_tokens=400.0, itl_seconds=0.01, steps=64),),
    failure="no result within 600 s",
)
START = StartRecord(
    parallelism=Parallelism(),
    facts=EngineFacts(
        start_up_seconds=1.5,
        max_num_seqs=8,
        max_num_batched_tokens=512,
        block_size=16,
        kv_capacity_tokens=1000,
        context_length=512,
        engine_version="1",
    ),
)


@pytest.fixture(params=["files", "memory"])
def store(request, tmp_path):
    return FileStore(tmp_path / "new" / "folder") if request.param == "files" else MemoryStore()


@pytest.mark.parametrize("record", [POINT, DECODED, START], ids=["prefill", "decode", "start"])
def test_what_was_put_is_got(store, record):
    assert store.get(KEY) is None
    store.put(KEY, record)
    assert store.get(KEY) == record


OTHERS = [
    pytest.param(point_key(IDENTITY | {"gpu": "h"}, Parallelism(), ASK, effort=Effort()), id="gpu"),
    pytest.param(point_key(IDENTITY, Parallelism(tp=2), ASK, effort=Effort()), id="parallelism"),
    pytest.param(
        point_key(IDENTITY, Parallelism(), PrefillAsk(isl=129), effort=Effort()), id="point"
    ),
    pytest.param(
        point_key(IDENTITY, Parallelism(), ASK, effort=Effort(confidence=0.01)), id="thoroughness"
    ),
    pytest.param(start_key(IDENTITY, Parallelism()), id="start"),
]


@pytest.mark.parametrize("other", OTHERS)
def test_another_measurement_is_another_file(store, other):
    store.put(KEY, POINT)
    assert store.get(other) is None


def test_how_many_points_are_taken_does_not_change_any():
    effort = Effort(decode_points=9, point_seconds=5)
    assert point_key(IDENTITY, Parallelism(), ASK, effort=effort).digest == KEY.digest


def test_one_file_a_point_that_a_person_finds(tmp_path):
    store = FileStore(tmp_path)
    store.put(KEY, POINT)
    store.put(KEY, POINT)
    assert [path.name for path in tmp_path.iterdir()] == [f"tp1-prefill-isl128-{KEY.digest}.json"]


@pytest.mark.parametrize("text", ["", "{", "[]", '{"inputs": {}}', '"x"'])
def test_a_file_that_cannot_be_understood_is_measured_again(tmp_path, text):
    store = FileStore(tmp_path)
    store.put(KEY, POINT)
    next(tmp_path.iterdir()).write_text(text)
    assert store.get(KEY) is None
    store.put(KEY, POINT)
    assert store.get(KEY) == POINT


def test_half_a_file_is_nothing(tmp_path):
    (tmp_path / f"{KEY.label}-{KEY.digest}.partial").write_text("{")
    assert FileStore(tmp_path).get(KEY) is None


def test_fresh_looks_at_nothing_old_and_at_all_its_own(tmp_path):
    FileStore(tmp_path).put(KEY, POINT)
    fresh = FileStore(tmp_path, fresh=True)
    assert fresh.get(KEY) is None
    fresh.put(KEY, DECODED)
    assert fresh.get(KEY) == DECODED


def test_a_folder_that_cannot_be_is_an_error_of_one_line(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(PlannerError, match="file"):
        FileStore(tmp_path / "file" / "below")
