"""docs/wire-protocol.md says what the code does."""

import re
from pathlib import Path

import msgspec

from runtime import errors
from runtime.frames import (
    DEFAULT_LIMITS,
    FrameKind,
    FrameParser,
    RequestHeader,
    decode_request,
    encode_request,
)
from runtime.frontend.arrivals import ArrivalBins, arrivals_document, whole_bins
from runtime.instance import InstanceRecord, decode_record, instance_subject
from runtime.kv_events.blocks import block_hashes
from runtime.kv_events.ledger import PART_BLOCKS
from runtime.kv_events.messages import KvNews, Removed, Stored, news_subject, restate_subject
from runtime.protocol import FinishReason, GenerateRequest, TokenDelta

TEXT = (Path(__file__).parents[3] / "docs" / "wire-protocol.md").read_text()


def blocks(language):
    return re.findall(rf"```{language}\n(.*?)```", TEXT, re.DOTALL)


def test_the_bytes_of_the_request():
    message = bytes.fromhex(blocks("hex")[0])
    header = RequestHeader(request_id="r-1", reply="10.0.0.7:41200", remaining_ms=30_000)
    assert decode_request(message) == (0x1122334455667788, header, b"\xa3Bob")
    assert encode_request(0x1122334455667788, header, b"\xa3Bob", DEFAULT_LIMITS) == message


def test_the_bytes_of_the_response():
    frames = []
    FrameParser(lambda *frame: frames.append(frame)).feed(bytes.fromhex(blocks("hex")[1]))
    assert frames == [
        (FrameKind.PROLOGUE, 0x1122334455667788, b"", b""),
        (FrameKind.DATA, 0x1122334455667788, b"", b"\xa9Hello Bob"),
        (FrameKind.END, 0x1122334455667788, b"", b""),
    ]


def test_the_record_of_an_instance():
    record = decode_record(blocks("json")[0].encode())
    assert isinstance(record, InstanceRecord)
    assert record.subject == instance_subject("planner", "decode", "generate", 42)


def test_the_bodies_of_a_serving_worker():
    request, *deltas = blocks("json")[1:4]
    asked = msgspec.json.decode(request, type=GenerateRequest)
    assert asked.sampling.max_tokens == 16
    answers = [msgspec.json.decode(delta, type=TokenDelta) for delta in deltas]
    assert [answer.finish_reason for answer in answers] == [None, FinishReason.STOP]


def test_the_answer_about_arrivals():
    now = 1_700_000_000.0
    bins = ArrivalBins(lambda: now)
    bins.add(10)
    bins.add(20)
    now += 0.6
    bins.add(5)
    shown = arrivals_document([bins], whole_bins(since=1_700_000_000.0, now=now + 0.2))
    assert msgspec.json.decode(blocks("json")[4]) == shown


def test_what_a_worker_says_it_has_cached():
    news = msgspec.json.decode(blocks("json")[5], type=KvNews)
    assert [type(event) for event in news.events] == [Removed, Stored]
    assert f"{news_subject('{namespace}', '{component}')}\n" in TEXT
    assert restate_subject("{namespace}", "{component}", 42).removesuffix("2a") in TEXT
    for name in block_hashes([1, 2, 3, 4, 5], 2):
        assert f"`{name:016x}`" in TEXT
    assert f"{PART_BLOCKS * 3:,} blocks" in TEXT


def test_every_kind_is_listed():
    listed = re.findall(r"^\| (\d) \| ([A-Z]+) \|", TEXT, re.MULTILINE)
    assert [(int(number), name) for number, name in listed] == [
        (kind.value, kind.name) for kind in FrameKind
    ]


def test_every_listed_code_is_one_and_may_be_retried_as_said():
    listed = dict(re.findall(r"^\| `([a-z_]+)` \| [^|]+ \| (yes|no) \|$", TEXT, re.MULTILINE))
    known = {"internal": errors.RuntimeFault} | {
        kind.code: kind for kind in errors.RuntimeFault.__subclasses__()
    }
    assert {code: said == "yes" for code, said in listed.items()} == {
        code: known[code].retryable for code in listed
    }
    assert {"draining", "overloaded", "invalid_request", "stream_broken"} <= listed.keys()
