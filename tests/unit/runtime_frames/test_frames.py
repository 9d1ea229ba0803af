"""The frame codec: any split of the bytes gives the same frames; anything else is refused."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from runtime.errors import Draining, InvalidRequest, MalformedFrame, RuntimeFault
from runtime.frames import (
    DEFAULT_LIMITS,
    MAX_STREAM_ID,
    PREFIX_BYTES,
    FrameKind,
    FrameLimits,
    FrameParser,
    RequestHeader,
    decode_fault,
    decode_request,
    encode_fault,
    encode_frame,
    encode_request,
)

FRAMES = st.tuples(
    st.sampled_from([int(kind) for kind in FrameKind]),
    st.integers(0, MAX_STREAM_ID),
    st.binary(max_size=40),
    st.binary(max_size=200),
)


def encoded(frame: tuple[int, int, bytes, bytes]) -> bytes:
    kind, stream, header, body = frame
    return encode_frame(kind, stream, header=header, body=body)


@given(st.lists(FRAMES, max_size=8), st.data())
def test_any_split_gives_the_same_frames(frames, data):
    wire = b"".join(encoded(frame) for frame in frames)
    cuts = sorted(data.draw(st.lists(st.integers(0, len(wire)), max_size=12)))
    seen: list[tuple[int, int, bytes, bytes]] = []
    parser = FrameParser(lambda *frame: seen.append(frame))
    for start, stop in zip([0, *cuts], [*cuts, len(wire)], strict=True):
        parser.feed(wire[start:stop])
    assert seen == frames
    assert parser.pending == 0


@given(FRAMES)
def test_single_bytes_give_the_frame(frame):
    seen: list[tuple[int, int, bytes, bytes]] = []
    parser = FrameParser(lambda *found: seen.append(found))
    for byte in encoded(frame):
        parser.feed(bytes([byte]))
    assert seen == [frame]


@given(st.binary(min_size=PREFIX_BYTES, max_size=400))
def test_arbitrary_bytes_raise_nothing_but_malformed_frame(noise):
    parser = FrameParser(lambda *_: None)
    try:
        parser.feed(noise)
    except MalformedFrame:
        return
    assert noise[:3] == b"PL1"


@pytest.mark.parametrize(
    "wire",
    [
        pytest.param(b"HTTP/1.1 400 Bad Request\r\n", id="another protocol"),
        pytest.param(encode_frame(FrameKind.DATA, 1, header=b"h" * 9), id="header beyond limit"),
        pytest.param(encode_frame(FrameKind.DATA, 1, body=b"b" * 17), id="body beyond limit"),
    ],
)
def test_what_is_no_frame_is_refused_by_its_prefix(wire):
    parser = FrameParser(lambda *_: None, FrameLimits(header=8, body=16))
    with pytest.raises(MalformedFrame):
        parser.feed(wire[:PREFIX_BYTES])


def test_a_request_survives_the_wire():
    header = RequestHeader(request_id="r-1", reply="10.0.0.1:4000", remaining_ms=1500)
    message = encode_request(7, header, b"body", DEFAULT_LIMITS)
    assert decode_request(message) == (7, header, b"body")


@pytest.mark.parametrize(
    "message",
    [
        pytest.param(b"", id="nothing"),
        pytest.param(encode_frame(FrameKind.REQUEST, 1, header=b"\x80")[:-1], id="cut short"),
        pytest.param(encode_frame(FrameKind.REQUEST, 1, header=b"\x80"), id="header incomplete"),
        pytest.param(encode_frame(FrameKind.REQUEST, 1, header=b"\xc1"), id="header not msgpack"),
        pytest.param(encode_frame(FrameKind.DATA, 1), id="not a request"),
        pytest.param(2 * encode_frame(FrameKind.REQUEST, 1), id="two frames"),
        pytest.param(encode_frame(FrameKind.REQUEST, 1) + b"x", id="a frame and more"),
    ],
)
def test_what_is_not_exactly_one_request_is_refused(message):
    with pytest.raises(MalformedFrame):
        decode_request(message)


def test_a_request_beyond_the_limits_is_not_sent():
    header = RequestHeader(request_id="r", reply="h:1")
    with pytest.raises(InvalidRequest, match="beyond"):
        encode_request(1, header, b"12345", FrameLimits(body=4))


def test_a_fault_keeps_its_kind_and_text():
    fault = decode_fault(encode_fault(Draining("leaving")))
    assert isinstance(fault, Draining)
    assert fault.message == "leaving"
    assert decode_fault(encode_fault(None)) is None


def test_a_long_fault_still_fits_into_a_header():
    assert len(encode_fault(RuntimeFault("\N{SNOWMAN}" * 100_000))) <= DEFAULT_LIMITS.header


def test_a_fault_that_quotes_no_unicode_still_arrives():
    assert decode_fault(encode_fault(RuntimeFault("file \udcff"))).message == "file ?"


def test_a_fault_that_cannot_be_read_is_malformed():
    with pytest.raises(MalformedFrame):
        decode_fault(b"\xc1")
