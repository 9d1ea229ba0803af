"""The response connections by their bytes: what malformed, slow and vanished peers cost."""

import asyncio
import logging

import msgspec
import pytest

from runtime.errors import (
    DeadlineExceeded,
    Draining,
    MalformedFrame,
    Overloaded,
    RuntimeFault,
    StreamBroken,
)
from runtime.frames import FrameKind, FrameLimits, encode_fault, encode_frame
from runtime.stream.pool import ConnectionPool
from runtime.stream.server import StreamServer

LIMITS = FrameLimits(header=1024, body=4096)


class Recorder:
    """A sink that keeps what it gets."""

    def __init__(self):
        self.items = []
        self.ends = []
        self.over = asyncio.Event()

    def on_data(self, body):
        self.items.append(bytes(body))

    def on_end(self, fault):
        self.ends.append(fault)
        self.over.set()


class Wire:
    """A worker that speaks in bytes."""

    @classmethod
    async def dial(cls, server):
        wire = cls()
        host, _, port = server.address.rpartition(":")
        wire.reader, wire.writer = await asyncio.open_connection(host, int(port))
        return wire

    def send(self, kind, stream, **parts):
        self.writer.write(encode_frame(kind, stream.id, **parts))

    async def closed_by_peer(self):
        async with asyncio.timeout(1):
            return await self.reader.read() == b""

    async def close(self):
        self.writer.close()
        await asyncio.gather(self.writer.wait_closed(), return_exceptions=True)


@pytest.fixture
async def server():
    made = await StreamServer.start("127.0.0.1", limits=LIMITS)
    yield made
    await made.close()


@pytest.fixture
async def dial(server):
    wires = []

    async def dial():
        wires.append(await Wire.dial(server))
        return wires[-1]

    yield dial
    for wire in wires:
        await wire.close()


@pytest.fixture
async def pool():
    made = ConnectionPool(limits=LIMITS, connect_timeout=0.2, idle_seconds=0.05)
    yield made
    await made.close()


@pytest.fixture
async def open_stream(server, dial):
    """A stream that a worker of its own has accepted."""

    async def opened():
        sink, wire = Recorder(), await dial()
        accepted = asyncio.Event()
        stream = server.expect(sink, opened=lambda _: accepted.set())
        wire.send(FrameKind.PROLOGUE, stream)
        await accepted.wait()
        return stream, sink, wire

    return opened


GARBAGE = [
    pytest.param(b"GET / HTTP/1.1\r\nHost: here\r\n\r\n", id="another protocol"),
    pytest.param(encode_frame(99, 1), id="unknown kind"),
    pytest.param(encode_frame(FrameKind.REQUEST, 1), id="a request"),
    pytest.param(encode_frame(FrameKind.STOP, 1), id="a client's frame"),
    pytest.param(encode_frame(FrameKind.DATA, 1, body=bytes(5000))[:24], id="body beyond limit"),
    pytest.param(encode_frame(FrameKind.PROLOGUE, 1, header=b"\xc1"), id="broken header"),
]


@pytest.mark.parametrize("garbage", GARBAGE)
async def test_garbage_ends_its_own_connection_only(open_stream, caplog, garbage):
    _, broken, wire = await open_stream()
    stream, sink, other = await open_stream()
    with caplog.at_level(logging.WARNING):
        wire.writer.write(garbage)
        await broken.over.wait()
    assert isinstance(broken.ends[0], StreamBroken)
    assert len(caplog.records) == 1
    other.send(FrameKind.DATA, stream, body=b"x")
    other.send(FrameKind.END, stream)
    await sink.over.wait()
    assert (sink.items, sink.ends) == ([b"x"], [None])


async def test_frames_cut_anywhere_are_whole_again(open_stream):
    stream, sink, wire = await open_stream()
    for number in range(3):
        for byte in encode_frame(FrameKind.DATA, stream.id, body=bytes([number] * 5)):
            wire.writer.write(bytes([byte]))
            await wire.writer.drain()
    wire.send(FrameKind.END, stream)
    await sink.over.wait()
    assert sink.items == [bytes([number] * 5) for number in range(3)]


async def test_a_vanished_worker_breaks_its_streams(open_stream):
    _, sink, wire = await open_stream()
    wire.writer.transport.abort()
    async with asyncio.timeout(0.5):
        await sink.over.wait()
    assert isinstance(sink.ends[0], StreamBroken)


async def test_an_answer_that_nobody_awaits_is_killed(server, dial):
    stream = server.expect(Recorder())
    stream.discard()
    wire = await dial()
    wire.send(FrameKind.PROLOGUE, stream)
    async with asyncio.timeout(1):
        frame = await wire.reader.readexactly(20)
    assert frame == encode_frame(FrameKind.KILL, stream.id)


async def test_data_of_a_killed_stream_is_ignored(open_stream):
    stream, sink, wire = await open_stream()
    stream.kill()
    wire.send(FrameKind.DATA, stream, body=b"late")
    wire.send(FrameKind.END, stream)
    other = (await open_stream())[2]
    other.send(FrameKind.DATA, stream, body=b"of another worker")
    await asyncio.sleep(0.01)
    assert sink.items == []
    assert len(sink.ends) == 1


async def test_a_stream_belongs_to_the_connection_that_accepted_it(open_stream):
    stream, sink, wire = await open_stream()
    other = (await open_stream())[2]
    other.send(FrameKind.DATA, stream, body=b"not yours")
    other.send(FrameKind.END, stream)
    await other.writer.drain()
    await asyncio.sleep(0.01)
    wire.send(FrameKind.DATA, stream, body=b"mine")
    wire.send(FrameKind.END, stream)
    await sink.over.wait()
    assert sink.items == [b"mine"]


async def test_a_stop_before_the_acceptance_is_sent_with_it(server, dial):
    stream = server.expect(Recorder())
    stream.stop()
    wire = await dial()
    wire.send(FrameKind.PROLOGUE, stream)
    async with asyncio.timeout(1):
        assert await wire.reader.readexactly(20) == encode_frame(FrameKind.STOP, stream.id)


@pytest.mark.parametrize("is_alive", [True, False])
async def test_a_lost_line_leaves_time_to_dial_again(server, dial, open_stream, is_alive):
    line, old = (await open_stream())[::2]
    sink = Recorder()
    stream = server.expect(sink)
    stream.depend_on(line.line)
    await old.close()
    await line.line.lost.wait()
    if is_alive:
        wire = await dial()
        wire.send(FrameKind.PROLOGUE, stream)
        await asyncio.sleep(0.3)
        wire.send(FrameKind.END, stream)
    async with asyncio.timeout(1):
        await sink.over.wait()
    assert [fault is None for fault in sink.ends] == [is_alive]


async def test_a_refusal_without_a_listener_is_the_end(server, dial):
    sink = Recorder()
    stream = server.expect(sink)
    wire = await dial()
    wire.send(FrameKind.PROLOGUE, stream, header=encode_fault(Overloaded("full")))
    await sink.over.wait()
    assert isinstance(sink.ends[0], Overloaded)


async def test_a_stream_that_reattaches_outlives_workers(server, dial):
    sink = Recorder()
    stream = server.expect(sink, reattach=True)
    dying, leaving, last = [await dial() for _ in range(3)]
    dying.send(FrameKind.PROLOGUE, stream)
    dying.send(FrameKind.DATA, stream, body=b"1")
    await dying.close()
    await asyncio.sleep(0.01)
    leaving.send(FrameKind.PROLOGUE, stream)
    leaving.send(FrameKind.END, stream, header=encode_fault(Draining("leaving")))
    await leaving.writer.drain()
    await asyncio.sleep(0.01)
    assert sink.ends == []
    last.send(FrameKind.PROLOGUE, stream)
    last.send(FrameKind.DATA, stream, body=b"2")
    last.send(FrameKind.END, stream)
    await sink.over.wait()
    assert (sink.items, sink.ends) == ([b"1", b"2"], [None])


async def test_the_time_of_a_stream_runs_from_before_its_acceptance(server, dial):
    sink, wire = Recorder(), await dial()
    stream = server.expect(sink, reattach=True)
    stream.expire_in(0.05)
    wire.send(FrameKind.PROLOGUE, stream)
    async with asyncio.timeout(1):
        await sink.over.wait()
    assert isinstance(sink.ends[0], DeadlineExceeded)


async def test_the_newest_prologue_has_a_stream_that_reattaches(server, dial):
    sink = Recorder()
    stream = server.expect(sink, reattach=True)
    hung, fresh = await dial(), await dial()
    hung.send(FrameKind.PROLOGUE, stream)
    await asyncio.sleep(0.01)
    fresh.send(FrameKind.PROLOGUE, stream)
    async with asyncio.timeout(1):
        assert await hung.reader.readexactly(20) == encode_frame(FrameKind.KILL, stream.id)
    fresh.send(FrameKind.END, stream)
    await sink.over.wait()
    assert sink.ends == [None]


async def test_closing_the_server_ends_what_waits_and_what_runs(dial):
    server = await StreamServer.start("127.0.0.1")
    waiting, reattaching = Recorder(), Recorder()
    server.expect(waiting)
    stream = server.expect(reattaching, reattach=True)
    wire = await Wire.dial(server)
    wire.send(FrameKind.PROLOGUE, stream)
    await asyncio.sleep(0.01)
    await server.close()
    assert len(waiting.ends) == len(reattaching.ends) == 1
    await wire.close()


async def test_concurrent_streams_share_one_dial(server, pool):
    sinks = [Recorder() for _ in range(10)]
    expected = [server.expect(sink) for sink in sinks]
    opened = await asyncio.gather(*(pool.open(server.address, one.id) for one in expected))
    for stream in opened:
        stream.accept()
        stream.send(b"x")
        stream.finish()
    await asyncio.gather(*(sink.over.wait() for sink in sinks))
    assert len(server._connections) == 1


async def test_the_frames_of_one_turn_leave_in_one_write(server, pool, monkeypatch):
    sink = Recorder()
    stream = await pool.open(server.address, server.expect(sink).id)
    writes = []
    transport = pool._connections[server.address]._transport
    send = transport.write
    monkeypatch.setattr(transport, "write", lambda data: (writes.append(data), send(data)))
    stream.accept()
    for _ in range(5):
        stream.send(b"item")
    stream.finish()
    await sink.over.wait()
    assert len(writes) == 1


async def test_a_client_that_does_not_read_holds_its_senders(pool):
    accepted = asyncio.get_running_loop().create_future()
    listener = await asyncio.start_server(
        lambda reader, writer: accepted.set_result((reader, writer)), "127.0.0.1", 0, limit=1024
    )
    port = listener.sockets[0].getsockname()[1]
    stream = await pool.open(f"127.0.0.1:{port}", 1)
    sent = 0

    async def produce():
        nonlocal sent
        for _ in range(10_000):
            stream.send(bytes(4000))
            sent += 1
            if stream.is_congested:
                await stream.drain()

    producing = asyncio.create_task(produce())
    reader, writer = await accepted
    seen = -1
    while seen != sent:  # until nothing moves
        seen = sent
        await asyncio.sleep(0.05)
    assert sent < 10_000
    while not producing.done():
        await reader.read(1 << 20)
    assert sent == 10_000
    writer.transport.abort()
    listener.close()
    await listener.wait_closed()


async def test_senders_to_a_vanished_client_are_let_go(pool):
    async def ignore(reader, writer):
        await asyncio.sleep(0.05)
        writer.transport.abort()

    listener = await asyncio.start_server(ignore, "127.0.0.1", 0)
    port = listener.sockets[0].getsockname()[1]
    killed = asyncio.Event()
    stream = await pool.open(f"127.0.0.1:{port}", 1, on_kill=killed.set)
    async with asyncio.timeout(2):
        while not stream.is_over:
            stream.send(bytes(4000))
            await stream.drain()
        await killed.wait()
    stream.send(b"into the void")
    stream.finish()
    listener.close()
    await listener.wait_closed()


async def test_garbage_from_a_client_kills_its_streams_only(pool, server, caplog):
    opened = asyncio.Event()

    async def confuse(reader, writer):
        await opened.wait()
        writer.write(encode_frame(FrameKind.DATA, 1))
        await reader.read()
        writer.close()

    listener = await asyncio.start_server(confuse, "127.0.0.1", 0)
    port = listener.sockets[0].getsockname()[1]
    sink, killed = Recorder(), asyncio.Event()
    fine = await pool.open(server.address, server.expect(sink).id)
    await pool.open(f"127.0.0.1:{port}", 1, on_kill=killed.set)
    opened.set()
    async with asyncio.timeout(1):
        await killed.wait()
    assert "has no place" in caplog.text
    fine.accept()
    fine.finish()
    await sink.over.wait()
    assert sink.ends == [None]
    listener.close()
    await listener.wait_closed()


@pytest.mark.parametrize(
    "address", ["", "nowhere", ":1", "h:", "h:x", "h:0", "h:70000", "x" * 1000]
)
async def test_an_address_that_is_none_is_refused(pool, address):
    with pytest.raises(MalformedFrame, match="host:port"):
        await pool.open(address, 1)


async def test_a_client_that_is_not_there_is_reported(pool):
    listener = await asyncio.start_server(lambda *_: None, "127.0.0.1", 0)
    port = listener.sockets[0].getsockname()[1]
    listener.close()
    await listener.wait_closed()
    with pytest.raises(StreamBroken, match="no connection"):
        await pool.open(f"127.0.0.1:{port}", 1)


async def test_an_id_in_use_is_refused(server, pool):
    stream = await pool.open(server.address, 1)
    with pytest.raises(MalformedFrame, match="open already"):
        await pool.open(server.address, 1)
    stream.finish()


async def test_an_idle_connection_is_closed_and_dialled_again(server, pool):
    for _ in range(2):
        sink = Recorder()
        stream = await pool.open(server.address, server.expect(sink).id)
        stream.accept()
        stream.send(msgspec.msgpack.encode("x"))
        stream.finish()
        await sink.over.wait()
        assert sink.ends == [None]
        connection = pool._connections[server.address]
        async with asyncio.timeout(1):
            await connection.lost.wait()
        assert pool._connections == {}


async def test_a_busy_connection_is_not_idle(server, pool):
    sink = Recorder()
    stream = await pool.open(server.address, server.expect(sink).id)
    stream.accept()
    await asyncio.sleep(0.15)
    stream.finish()
    await sink.over.wait()
    assert sink.ends == [None]


async def test_what_is_unsent_leaves_before_the_pool_closes(server):
    pool, sink = ConnectionPool(), Recorder()
    stream = await pool.open(server.address, server.expect(sink).id)
    stream.accept()
    stream.finish(RuntimeFault("last words"))
    await pool.close()
    await sink.over.wait()
    assert sink.ends[0].message == "last words"
