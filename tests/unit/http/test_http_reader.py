"""Bytes into requests: the same result however they are cut, and every limit held."""

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from runtime.http.limits import HttpLimits
from runtime.http.reader import RequestReader

GET = b"GET /a%20b?x=1 HTTP/1.1\r\nHost: x\r\n\r\n"
CHUNKED = (
    b"POST /p HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n"
    b"5\r\nhello\r\n2;ext=1\r\n!!\r\n0\r\nX-Trailer: 1\r\n\r\n"
)
UPGRADE = (
    b"POST /p HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\n"
    b"Upgrade: h2c\r\nHTTP2-Settings: AAA\r\nConnection: Upgrade, HTTP2-Settings\r\n\r\nhello"
)


def read(data: bytes, *cuts: int, limits: HttpLimits | None = None) -> RequestReader:
    reader = RequestReader(limits or HttpLimits())
    edges = [0, *sorted(cut % (len(data) + 1) for cut in cuts), len(data)]
    for start, end in pairwise(edges):
        if end > start:
            reader.feed(data[start:end])
    return reader


@given(st.lists(st.integers(0, 10_000), max_size=8))
def test_pipelined_requests_survive_any_cut(cuts):
    reader = read(GET + CHUNKED + UPGRADE + GET, *cuts)
    assert reader.refusal is None
    assert [(request.method, request.path, request.body) for request in reader.requests] == [
        ("GET", "/a b", b""),
        ("POST", "/p", b"hello!!"),
        ("POST", "/p", b"hello"),
        ("GET", "/a b", b""),
    ]
    assert all(request.keep_alive for request in reader.requests)


LIMITS = HttpLimits(head_bytes=400, headers=5, body_bytes=10)
LINE = b"GET / HTTP/1.1\r\n"
MANY = b"".join(b"A%d: 1\r\n" % number for number in range(7))
POST = b"POST / HTTP/1.1\r\nHost: x\r\n"
CHUNKS = POST + b"Transfer-Encoding: chunked\r\n\r\n"
REFUSED = [
    pytest.param(LINE + b"\r\n", 400, id="no host"),
    pytest.param(b"NONSENSE\r\n\r\n", 400, id="no http"),
    pytest.param(b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03", 400, id="tls on a plain port"),
    pytest.param(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", 400, id="http 2"),
    pytest.param(b"GET /" + b"a" * 500 + b" HTTP/1.1\r\n", 431, id="long target"),
    pytest.param(LINE + b"A: " + b"a" * 500, 431, id="endless header"),
    pytest.param(LINE + MANY, 431, id="many headers"),
    pytest.param(POST + b"Content-Length: 11\r\n\r\n", 413, id="long body"),
    pytest.param(CHUNKS + b"b\r\n" + b"a" * 11, 413, id="long chunk"),
    pytest.param(CHUNKS + b"5\r\naaaaa\r\n6\r\naaaaaa", 413, id="long chunks"),
    pytest.param(POST + b"Content-Length: -1\r\n\r\n", 400, id="negative length"),
    pytest.param(CHUNKS[:-2] + b"Content-Length: 9\r\n\r\n", 400, id="two lengths"),
    pytest.param(CHUNKS + b"zz\r\n", 400, id="bad chunk size"),
]


@pytest.mark.parametrize(("data", "status"), REFUSED)
@pytest.mark.parametrize("step", [1, 50])
def test_refuses(data, status, step):
    reader = read(data, *range(0, len(data), step), limits=LIMITS)
    assert reader.refusal is not None
    assert reader.refusal.status == status
    assert not reader.requests


def test_what_came_before_a_refusal_is_kept():
    reader = read(GET + b"NONSENSE\r\n\r\n" + GET)
    assert len(reader.requests) == 1
    assert reader.refusal is not None


def test_repeated_headers_are_joined_and_lower_case():
    reader = read(b"GET / HTTP/1.1\r\nHOST: x\r\nAccept: a\r\naccept: b\r\n\r\n")
    assert reader.requests[0].headers == {"host": "x", "accept": "a, b"}


def test_an_expectation_is_reported_once_and_only_while_the_body_is_awaited():
    head = POST + b"Content-Length: 2\r\nExpect: 100-continue\r\n\r\n"
    waiting = read(head)
    assert waiting.take_expectation()
    assert not waiting.take_expectation()
    assert not read(head + b"hi").take_expectation()
