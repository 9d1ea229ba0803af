"""Traces are read by content, quickly, and a bad one is told by file, line, value and limit."""

import json
import time
from pathlib import Path

import numpy as np
import pytest

from planner.errors import TraceError
from planner.traces import open_trace

HEADER = "TIMESTAMP,ContextTokens,GeneratedTokens"


def azure(*rows: str) -> str:
    return "\r\n".join([HEADER, *rows])


def mooncake(**fields: object) -> str:
    return json.dumps({"timestamp": 0, "input_length": 10, "output_length": 2} | fields)


def write(tmp_path: Path, text: str) -> Path:
    path = tmp_path / "trace.txt"
    path.write_bytes(text.encode())
    return path


def test_azure_rows_keep_their_times_and_lengths(tmp_path):
    text = azure("2023-11-16 18:15:46.6805900,374,44", "2023-11-16 18:15:50.9951690,396,109")
    trace = open_trace(write(tmp_path, text))
    assert trace.arrival_seconds == pytest.approx([0.0, 4.314579], abs=1e-6)
    assert trace.isl.tolist() == [374, 396]
    assert trace.osl.tolist() == [44, 109]
    assert trace.hash_ids is None


def test_azure_columns_may_come_in_any_order_with_others_and_a_time_zone(tmp_path):
    text = "Model,ContextTokens,GeneratedTokens,TIMESTAMP\nx,1,2,2024-05-10 00:00:00+00:00\n"
    trace = open_trace(write(tmp_path, text))
    assert (trace.isl[0], trace.osl[0], len(trace)) == (1, 2, 1)


def test_mooncake_rows_keep_their_prefix_blocks(tmp_path):
    text = mooncake(hash_ids=[0, 1]) + "\n" + mooncake(timestamp=1500, hash_ids=[0, 2]) + "\n"
    trace = open_trace(write(tmp_path, text))
    assert trace.arrival_seconds.tolist() == [0.0, 1.5]
    assert trace.hash_ids == ((0, 1), (0, 2))


def test_a_byte_order_mark_and_blank_lines_do_no_harm(tmp_path):
    trace = open_trace(write(tmp_path, "\ufeff" + azure("2023-11-16 18:15:46,1,2", "", "")))
    assert len(trace) == 1


def test_the_bundled_excerpt_is_five_minutes_of_conversation():
    trace = open_trace("bundled:azure-conv")
    assert len(trace) == 1445
    assert 290 < trace.duration_seconds < 300
    assert trace.requests_per_second == pytest.approx(4.8, abs=0.1)


def test_twenty_thousand_rows_are_read_within_half_a_second(tmp_path):
    rows = [f"2023-11-16 18:15:{i // 400:02d}.{i % 400:07d},{i % 900 + 1},7" for i in range(20_000)]
    path = write(tmp_path, azure(*rows))
    started = time.process_time()
    assert len(open_trace(path)) == 20_000
    assert time.process_time() - started < 0.5


BAD = [
    pytest.param("", "the file is empty", id="empty"),
    pytest.param("\r\n\r\n", "the file is empty", id="blank"),
    pytest.param(HEADER + "\r\n", "no requests", id="only a header"),
    pytest.param("time,in,out\n1,2,3\n", "line 1: unknown format: 'time,in,out'", id="header"),
    pytest.param(azure("yesterday,1,2"), "line 2: TIMESTAMP 'yesterday'", id="time"),
    pytest.param(azure("2023-11-16 18:15:46,1"), "line 2: 2 columns", id="short row"),
    pytest.param(
        azure("2023-11-16 18:15:46,1,2", "2023-11-16 18:15:47,ten,2"),
        "line 3: ContextTokens 'ten': not a whole number",
        id="word",
    ),
    pytest.param(azure("2023-11-16 18:15:46,nan,2"), "ContextTokens 'nan'", id="nan"),
    pytest.param(azure("2023-11-16 18:15:46,1,1.5"), "GeneratedTokens '1.5'", id="fraction"),
    pytest.param(azure("2023-11-16 18:15:46,0,2"), "ContextTokens 0: must be from 1", id="zero"),
    pytest.param(azure("2023-11-16 18:15:46,5,-2"), "GeneratedTokens -2", id="negative"),
    pytest.param(azure("2023-11-16 18:15:46,5,99999999"), "to 10000000 tokens", id="too many"),
    pytest.param(
        azure("2023-11-16 18:15:46,1,2", "2023-11-16 18:15:45,1,2"),
        "line 3: arrives 1.000 s before the request above",
        id="unsorted",
    ),
    pytest.param("{oops", "line 1: not JSON", id="not json"),
    pytest.param(mooncake() + "\n[1]\n", "line 2: '[1]': not a JSON object", id="list"),
    pytest.param('{"timestamp": 0}', "line 1: no input_length", id="missing key"),
    pytest.param(mooncake(timestamp="1"), "timestamp '1': not a number", id="text time"),
    pytest.param(mooncake(timestamp=float("nan")), "timestamp nan", id="nan time"),
    pytest.param(mooncake(timestamp=-1), "timestamp -1", id="negative time"),
    pytest.param(mooncake(input_length=1.5), "input_length 1.5", id="fractional tokens"),
    pytest.param(mooncake(output_length=True), "output_length True", id="boolean tokens"),
    pytest.param(mooncake(output_length=0), "output_length 0: must be from 1", id="no output"),
    pytest.param(mooncake(hash_ids="abc"), "hash_ids", id="hash ids"),
    pytest.param(mooncake() + "\n" + "[" * 9999, "line 2: not JSON", id="nested"),
]


@pytest.mark.parametrize(("text", "message"), BAD)
def test_a_bad_file_is_one_line_that_names_it(tmp_path, text, message):
    path = write(tmp_path, text)
    with pytest.raises(TraceError) as caught:
        open_trace(path)
    assert str(path) in str(caught.value)
    assert message in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_missing_file_a_folder_bytes_and_an_unknown_bundle_are_told(tmp_path):
    binary = tmp_path / "binary"
    binary.write_bytes(b"\xff\xfe\x00")
    cases = {
        tmp_path / "no.csv": "no such file",
        tmp_path: "cannot be read",
        binary: "not UTF-8",
        "bundled:other": "not bundled",
    }
    for source, message in cases.items():
        with pytest.raises(TraceError, match=message) as caught:
            open_trace(source)
        assert caught.value.hint


def test_columns_are_arrays():
    trace = open_trace("bundled:azure-conv")
    assert trace.arrival_seconds.dtype == np.float64
    assert trace.isl.dtype == trace.osl.dtype == np.int64
