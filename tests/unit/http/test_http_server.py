"""The server over real sockets: order, keep-alive, limits in time, streams, hang-ups, drain."""

import asyncio
import contextlib
from collections.abc import AsyncIterator

import pytest

from runtime.http.limits import HttpLimits
from runtime.http.message import Request, Response, json_response
from runtime.http.routes import Routes
from runtime.http.server import HttpServer

LIMITS = HttpLimits(
    head_timeout=0.1, body_timeout=0.1, idle_timeout=0.2, linger=5.0, body_bytes=1000,
    head_bytes=1000, write_buffer=64 * 1024, pipelined=2,
)  # fmt: skip
GET = b"GET %b HTTP/1.1\r\nHost: x\r\n\r\n"


class Client:
    """One raw connection."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.reader, self.writer = reader, writer

    def send(self, data: bytes) -> None:
        self.writer.write(data)

    async def head(self) -> str:
        return (await self.reader.readuntil(b"\r\n\r\n")).decode()

    async def answer(self) -> tuple[str, bytes]:
        head = await self.head()
        length = int(head.lower().split("content-length: ")[1].split("\r\n")[0])
        return head, await self.reader.readexactly(length)

    async def rest(self) -> bytes:
        return await self.reader.read()


class Handlers:
    """What the test routes do, and what happened to them."""

    def __init__(self) -> None:
        self.started = asyncio.Event()
        self.released = asyncio.Event()
        self.cancelled = asyncio.Event()
        self.dropped = asyncio.Event()
        self.order: list[str] = []

    async def echo(self, request: Request) -> Response:
        self.order.append(request.path)
        return Response(body=request.method.encode() + b" " + request.body)

    async def tail(self, request: Request) -> Response:
        return json_response({"tail": request.tail})

    async def wait(self, request: Request) -> Response:
        self.started.set()
        try:
            await self.released.wait()
        except asyncio.CancelledError:
            self.cancelled.set()
            raise
        self.order.append(request.path)
        return Response(body=b"waited")

    async def fail(self, request: Request) -> Response:
        raise ValueError(request.path)

    async def stream(self, request: Request) -> object:
        stream = request.open_stream("text/event-stream")
        for piece in (b"one", b"", b"two"):
            stream.write(piece)
        return stream

    async def fail_midway(self, request: Request) -> object:
        request.open_stream("text/event-stream").write(b"one")
        raise ValueError(request.path)

    async def fail_before(self, request: Request) -> object:
        request.open_stream("text/event-stream")
        raise ValueError(request.path)

    async def flood(self, request: Request) -> object:
        stream = request.open_stream("text/event-stream")
        self.started.set()
        try:
            while stream.is_open:
                stream.write(b"x" * 4096)
                await asyncio.sleep(0)
            await self.released.wait()
        except asyncio.CancelledError:
            self.cancelled.set()
            raise
        return stream

    async def large(self, request: Request) -> Response:
        task = asyncio.current_task()
        assert task is not None
        task.add_done_callback(lambda _: self.dropped.set())
        return Response(body=b"x" * 8_000_000)

    def routes(self) -> Routes:
        routes = Routes()
        routes.add("GET", "/echo", self.echo)
        routes.add("POST", "/echo", self.echo)
        routes.add("GET", "/items/*", self.tail)
        for name in ("wait", "fail", "stream", "fail_midway", "fail_before", "flood", "large"):
            routes.add("GET", f"/{name}", getattr(self, name))
        return routes


@pytest.fixture
def handlers() -> Handlers:
    return Handlers()


@pytest.fixture
async def server(handlers: Handlers) -> AsyncIterator[HttpServer]:
    server = HttpServer(handlers.routes(), limits=LIMITS)
    await server.start("127.0.0.1")
    yield server
    await server.close()
    assert server.connections == 0


@pytest.fixture
async def client(server: HttpServer) -> AsyncIterator[Client]:
    reader, writer = await asyncio.open_connection("127.0.0.1", server.port)
    async with asyncio.timeout(10):
        yield Client(reader, writer)
    writer.close()
    with contextlib.suppress(ConnectionError):
        await writer.wait_closed()


async def test_pipelined_requests_are_answered_in_order(client, handlers):
    client.send(GET % b"/wait" + (GET % b"/echo") * 5)
    await handlers.started.wait()
    assert handlers.order == []
    handlers.released.set()
    bodies = [(await client.answer())[1] for _ in range(6)]
    assert bodies == [b"waited"] + [b"GET "] * 5
    assert handlers.order == ["/wait"] + ["/echo"] * 5


async def test_a_body_comes_whole_by_length_or_by_chunks(client):
    client.send(b"POST /echo HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\n\r\nhello")
    assert (await client.answer())[1] == b"POST hello"
    client.send(b"POST /echo HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n")
    client.send(b"2\r\nhi\r\n0\r\n\r\n")
    assert (await client.answer())[1] == b"POST hi"


async def test_head_answers_like_get_without_the_body(client):
    client.send(b"HEAD /echo HTTP/1.1\r\nHost: x\r\n\r\n" + GET % b"/echo")
    assert "content-length: 5" in await client.head()
    assert (await client.answer())[1] == b"GET "


@pytest.mark.parametrize(
    ("request_line", "status", "header"),
    [
        pytest.param("GET /none", 404, "", id="unknown path"),
        pytest.param("GET /items/", 404, "", id="empty tail"),
        pytest.param("DELETE /echo", 405, "allow: GET, HEAD, POST", id="wrong method"),
        pytest.param("GET /fail", 500, "", id="handler failed"),
        pytest.param("GET /fail_before", 500, "", id="stream failed before its first byte"),
    ],
)
async def test_refusals_keep_the_connection(client, request_line, status, header, caplog):
    client.send(f"{request_line} HTTP/1.1\r\nHost: x\r\n\r\n".encode() + GET % b"/echo")
    head, _ = await client.answer()
    assert head.startswith(f"HTTP/1.1 {status} ")
    assert header in head
    assert (await client.answer())[1] == b"GET "


async def test_a_tail_is_decoded(client):
    client.send(GET % b"/items/a%2Fb/c")
    assert (await client.answer())[1] == b'{"tail":"a/b/c"}'


async def test_an_expectation_is_met_before_the_body_is_sent(client):
    client.send(
        b"POST /echo HTTP/1.1\r\nHost: x\r\nContent-Length: 2\r\nExpect: 100-continue\r\n\r\n"
    )
    assert await client.head() == "HTTP/1.1 100 Continue\r\n\r\n"
    client.send(b"hi")
    assert (await client.answer())[1] == b"POST hi"


async def test_too_large_a_body_is_refused_before_it_is_sent(client):
    client.send(b"POST /echo HTTP/1.1\r\nHost: x\r\nContent-Length: 1001\r\n\r\n")
    head, _ = await client.answer()
    assert head.startswith("HTTP/1.1 413 ")
    assert "connection: close" in head
    client.send(b"x" * 1001)
    assert await client.rest() == b""


async def test_what_came_before_a_malformed_request_is_answered_first(client):
    client.send(GET % b"/echo" + b"NONSENSE\r\n\r\n")
    assert (await client.answer())[1] == b"GET "
    assert (await client.head()).startswith("HTTP/1.1 400 ")


@pytest.mark.parametrize(
    "sent", [b"GET /echo HT", b"POST /echo HTTP/1.1\r\nHost: x\r\nContent-Length: 9\r\n\r\nhi"]
)
async def test_a_slow_request_is_given_up(client, sent):
    client.send(sent)
    assert (await client.answer())[0].startswith("HTTP/1.1 408 ")
    client.writer.write_eof()
    assert await client.rest() == b""


async def test_an_idle_connection_is_closed(client):
    client.send(GET % b"/echo")
    await client.answer()
    assert await client.rest() == b""


async def test_http_1_0_and_close_end_the_connection(server):
    for request in (
        b"GET /echo HTTP/1.0\r\n\r\n",
        b"GET /echo HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n",
    ):
        reader, writer = await asyncio.open_connection("127.0.0.1", server.port)
        writer.write(request)
        answer = await reader.read()
        assert b"connection: close" in answer
        assert answer.endswith(b"GET ")
        writer.close()
        await writer.wait_closed()


async def test_http_1_0_may_keep_the_connection(client):
    request = b"GET /echo HTTP/1.0\r\nConnection: keep-alive\r\n\r\n"
    client.send(request + request)
    for _ in range(2):
        assert "connection: keep-alive" in (await client.answer())[0]


async def test_a_stream_is_chunked_and_keeps_the_connection(client):
    client.send(GET % b"/stream" + GET % b"/echo")
    assert "transfer-encoding: chunked" in await client.head()
    assert await client.reader.readexactly(21) == b"3\r\none\r\n3\r\ntwo\r\n0\r\n\r\n"
    assert (await client.answer())[1] == b"GET "


async def test_a_stream_to_http_1_0_ends_with_the_connection(client):
    client.send(b"GET /stream HTTP/1.0\r\n\r\n")
    assert (await client.rest()).endswith(b"\r\n\r\nonetwo")


async def test_half_a_stream_does_not_look_like_a_whole_one(client, caplog):
    client.send(GET % b"/fail_midway")
    await client.head()
    with contextlib.suppress(ConnectionError):
        assert not (await client.rest()).endswith(b"0\r\n\r\n")


@pytest.mark.parametrize("way", ["close", "abort"])
async def test_a_hang_up_cancels_the_handler(server, handlers, way):
    _, writer = await asyncio.open_connection("127.0.0.1", server.port)
    writer.write(GET % b"/wait")
    await handlers.started.wait()
    writer.close() if way == "close" else writer.transport.abort()
    async with asyncio.timeout(0.1):
        await handlers.cancelled.wait()
    with contextlib.suppress(ConnectionError):
        await writer.wait_closed()


async def test_a_slow_client_of_a_stream_is_cut_off(client, handlers, caplog):
    client.send(GET % b"/flood")
    async with asyncio.timeout(10):
        await handlers.cancelled.wait()
    assert "slow client cut off" in caplog.text


async def test_a_client_that_never_reads_is_dropped(server, handlers):
    _, writer = await asyncio.open_connection("127.0.0.1", server.port)
    writer.transport.pause_reading()
    writer.write((GET % b"/large") * 3)
    async with asyncio.timeout(10):
        await handlers.dropped.wait()
    writer.transport.abort()


async def test_closing_finishes_what_runs_and_takes_nothing_new(server, client, handlers):
    client.send(GET % b"/wait")
    await handlers.started.wait()
    closing = asyncio.create_task(server.close(timeout=5))
    await asyncio.sleep(0.01)
    with pytest.raises(ConnectionError):
        await asyncio.open_connection("127.0.0.1", server.port)
    handlers.released.set()
    head, body = await client.answer()
    assert "connection: close" in head
    assert body == b"waited"
    await closing


async def test_closing_drops_what_does_not_finish(server, client, handlers):
    client.send(GET % b"/wait")
    await handlers.started.wait()
    await server.close(timeout=0.02)
    assert handlers.cancelled.is_set()
    assert await client.rest() == b""
