"""Remote prefill with both sides in one process: never lost, and given up in the end."""

import asyncio
from collections import Counter

import pytest

from runtime.errors import InvalidRequest, PrefillFailed
from runtime.protocol import GenerateRequest, Sampling
from runtime.queue.memory import MemoryQueue, MemoryQueueBackend
from runtime.stream.pool import ConnectionPool
from runtime.stream.server import StreamServer
from workers.disaggregation.delivery import Prefilling
from workers.disaggregation.messages import decode_request
from workers.disaggregation.puller import PrefillPuller
from workers.disaggregation.remote import Outcome, RemotePrefill
from workers.engine import Prefilled

ACK_WAIT = 0.3


class FakeEngine:
    """An engine that only prefills, as its test says."""

    def __init__(self) -> None:
        self.started: list[str] = []
        self.running = 0
        self.gate = asyncio.Event()
        self.gate.set()
        self.failures: list[Exception] = []
        self.released: list[dict[str, object]] = []

    async def release(self, transfer: dict[str, object]) -> None:
        self.released.append(transfer)

    async def prefill(self, request: GenerateRequest) -> Prefilled:
        self.started.append(request.request_id)
        self.running += 1
        try:
            await self.gate.wait()
            if self.failures:
                raise self.failures.pop(0)
            return Prefilled(transfer={"length": len(request.token_ids)}, cached_tokens=16)
        finally:
            self.running -= 1


class Bench:
    """One queue, one decode side, and as many prefill workers as a test starts."""

    def __init__(self, streams: StreamServer) -> None:
        self.backend = MemoryQueueBackend()
        self.dead = MemoryQueueBackend()
        self.streams = streams
        self.outcomes: Counter[Outcome] = Counter()
        self.workers_left = 2
        self.ack_wait = ACK_WAIT
        self.pullers: list[PrefillPuller] = []
        self.pools: list[ConnectionPool] = []

    def decode(self, time_limit: float = 30.0) -> RemotePrefill:
        return RemotePrefill(
            MemoryQueue(self.backend, ack_wait=self.ack_wait),
            self.streams,
            time_limit=time_limit,
            workers_left=lambda: self.workers_left,
            count=lambda outcome: self.outcomes.update([outcome]),
        )

    def worker(self, engine: FakeEngine, *, token_budget: int = 10_000) -> PrefillPuller:
        pool = ConnectionPool()
        prefilling = Prefilling(
            engine=engine,
            responses=pool,
            dead_letters=MemoryQueue(self.dead),
            ack_wait=self.ack_wait,
        )
        queue = MemoryQueue(self.backend, ack_wait=self.ack_wait)
        puller = PrefillPuller(queue, prefilling, token_budget=token_budget)
        puller.start()
        self.pullers.append(puller)
        self.pools.append(pool)
        return puller

    async def die(self, puller: PrefillPuller) -> None:
        """What kill -9 does: connections end, nothing is acknowledged or given back."""
        self.backend.available = False  # so that nothing can be given back
        puller._pulling.cancel()
        for connection in tuple(self.pools[self.pullers.index(puller)]._connections.values()):
            connection.abort()
            await connection.lost.wait()
        tasks = tuple(puller._tasks)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        self.backend.available = True

    async def close(self) -> None:
        for puller in self.pullers:
            await puller.drain(0)
        for pool in self.pools:
            await pool.close()
        await self.streams.close()


@pytest.fixture
async def bench():
    made = Bench(await StreamServer.start("127.0.0.1"))
    yield made
    await made.close()
    assert not made.streams._waiting
    assert not made.streams._reattaching


def request(name: str = "r", tokens: int = 100) -> GenerateRequest:
    return GenerateRequest(
        request_id=name, token_ids=list(range(tokens)), sampling=Sampling(max_tokens=5)
    )


async def test_the_result_comes_back_and_is_acknowledged(bench, until):
    engine = FakeEngine()
    bench.worker(engine)
    result = await bench.decode().prefill(request())
    assert result == Prefilled(transfer={"length": 100}, cached_tokens=16)
    await until(lambda: bench.backend.size() == 0)
    assert bench.outcomes == {Outcome.DONE: 1}
    assert engine.released == []


async def test_an_item_waits_for_the_first_worker(bench, until):
    task = asyncio.create_task(bench.decode().prefill(request()))
    await until(lambda: bench.backend.size() == 1)
    bench.worker(FakeEngine())
    assert await task is not None


async def test_it_is_not_acknowledged_before_it_is_delivered(bench, until):
    engine = FakeEngine()
    engine.gate.clear()
    bench.worker(engine)
    task = asyncio.create_task(bench.decode().prefill(request()))
    await until(lambda: engine.running == 1)
    await asyncio.sleep(3 * ACK_WAIT)  # kept alive for longer than the queue waits
    assert bench.backend.size() == 1
    assert len(engine.started) == 1
    engine.gate.set()
    assert await task is not None
    await until(lambda: bench.backend.size() == 0)


async def test_another_worker_takes_over_from_one_that_died(bench, until):
    doomed, other = FakeEngine(), FakeEngine()
    doomed.gate.clear()
    puller = bench.worker(doomed)
    task = asyncio.create_task(bench.decode().prefill(request()))
    await until(lambda: doomed.running == 1)
    await bench.die(puller)
    bench.worker(other)
    assert await task is not None
    assert len(other.started) == 1
    await until(lambda: bench.backend.size() == 0)


async def test_another_worker_takes_over_from_one_that_hangs(bench, until, monkeypatch):
    hung, other = FakeEngine(), FakeEngine()
    hung.gate.clear()
    puller = bench.worker(hung)
    task = asyncio.create_task(bench.decode().prefill(request()))
    await until(lambda: hung.running == 1)
    puller._pulling.cancel()
    bench.backend.give_back(next(iter(bench.backend._working)))  # its signs of life stay away
    bench.worker(other)
    assert await task is not None
    assert len(other.started) == 1
    await until(lambda: hung.running == 0)


async def test_a_worker_that_leaves_gives_its_work_back(bench, until):
    bench.ack_wait = 3600.0  # it does not come back on its own
    leaving, other = FakeEngine(), FakeEngine()
    leaving.gate.clear()
    puller = bench.worker(leaving)
    task = asyncio.create_task(bench.decode().prefill(request()))
    await until(lambda: leaving.running == 1)
    assert await puller.drain(0.01) is False
    bench.worker(other)
    assert await task is not None


async def test_a_worker_that_leaves_finishes_what_it_can(bench, until):
    engine = FakeEngine()
    engine.gate.clear()
    puller = bench.worker(engine)
    task = asyncio.create_task(bench.decode().prefill(request()))
    await until(lambda: engine.running == 1)
    draining = asyncio.create_task(puller.drain(5))
    await asyncio.sleep(0)
    engine.gate.set()
    assert await draining is True
    assert await task is not None
    assert puller.in_flight == 0


async def test_a_failure_is_tried_again_elsewhere(bench):
    engine = FakeEngine()
    engine.failures = [RuntimeError("out of memory"), RuntimeError("again")]
    bench.worker(engine)
    assert await bench.decode().prefill(request()) is not None
    assert len(engine.started) == 3
    assert bench.outcomes == {Outcome.DONE: 1}


async def test_three_failures_are_a_dead_letter_and_an_error(bench, until):
    engine = FakeEngine()
    engine.failures = [RuntimeError("broken")] * 3
    bench.worker(engine)
    with pytest.raises(PrefillFailed, match="3 attempts"):
        await bench.decode().prefill(request())
    assert bench.backend.size() == 0
    letter = await MemoryQueue(bench.dead).pull(timeout=1)
    assert decode_request(letter.body).request == request()
    assert bench.outcomes == {Outcome.FAILED: 1}


async def test_three_deaths_are_a_dead_letter_and_an_error(bench, until):
    task = asyncio.create_task(bench.decode().prefill(request()))
    for _ in range(3):
        doomed = FakeEngine()
        doomed.gate.clear()
        puller = bench.worker(doomed)
        await until(lambda engine=doomed: engine.running == 1)
        await bench.die(puller)
    engine = FakeEngine()
    bench.worker(engine)
    with pytest.raises(PrefillFailed):
        await task
    assert not engine.started
    assert bench.dead.size() == 1
    assert bench.backend.size() == 0


async def test_what_no_engine_takes_is_refused_at_once(bench, until):
    engine = FakeEngine()
    engine.failures = [InvalidRequest("too long")]
    bench.worker(engine)
    with pytest.raises(InvalidRequest, match="too long"):
        await bench.decode().prefill(request())
    await until(lambda: bench.backend.size() == 0)
    assert bench.dead.size() == 0


async def test_a_cancelled_request_is_dropped_and_acknowledged(bench, until):
    engine = FakeEngine()
    engine.gate.clear()
    bench.worker(engine)
    task = asyncio.create_task(bench.decode().prefill(request()))
    await until(lambda: engine.running == 1)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    await until(lambda: engine.running == 0 and bench.backend.size() == 0)
    assert bench.outcomes == {Outcome.CANCELLED: 1}


async def test_kv_that_is_made_when_nobody_wants_it_any_more_is_released(bench, until):
    """The request is cancelled with the result on its way, so no engine will ever fetch it."""
    engine = FakeEngine()
    bench.worker(engine)
    task = asyncio.create_task(bench.decode().prefill(request()))
    arrived = bench.streams.expect

    def cancel_on_arrival(sink, **how):
        stream = arrived(sink, **how)
        take = stream.on_data
        stream.on_data = lambda body: (take(body), task.cancel())
        return stream

    bench.streams.expect = cancel_on_arrival
    with pytest.raises(asyncio.CancelledError):
        await task
    await until(lambda: engine.released == [{"length": 100}])
    assert bench.backend.size() == 0
    assert bench.outcomes == {Outcome.CANCELLED: 1}


async def test_kv_whose_place_may_have_arrived_is_not_released(bench, until):
    """The connection breaks with the result on its way: the other side may be fetching it."""
    engine = FakeEngine()
    engine.gate.clear()
    puller = bench.worker(engine)
    task = asyncio.create_task(bench.decode().prefill(request()))
    await until(lambda: engine.running == 1)
    (connection,) = bench.pools[0]._connections.values()
    connection.flush = lambda: None
    engine.gate.set()
    await until(lambda: engine.running == 0)
    await asyncio.sleep(0.05)
    connection.abort()
    assert await task is not None  # by the second attempt
    await puller.drain(5)
    assert len(engine.started) == 2
    assert engine.released == []


async def test_a_request_cancelled_in_the_queue_is_not_worked_on_for_long(bench, until):
    task = asyncio.create_task(bench.decode().prefill(request()))
    await until(lambda: bench.backend.size() == 1)
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)
    engine = FakeEngine()
    engine.gate.clear()
    bench.worker(engine)
    await until(lambda: bench.backend.size() == 0)
    assert engine.running == 0


async def test_a_request_whose_decode_worker_died_is_acknowledged(bench, until):
    other = await StreamServer.start("127.0.0.1")
    remote = RemotePrefill(
        MemoryQueue(bench.backend),
        other,
        time_limit=5,
        workers_left=lambda: 1,
        count=lambda outcome: None,
    )
    task = asyncio.create_task(remote.prefill(request()))
    await until(lambda: bench.backend.size() == 1)
    await other.close()
    await asyncio.gather(task, return_exceptions=True)
    engine = FakeEngine()
    bench.worker(engine)
    await until(lambda: bench.backend.size() == 0)
    assert not engine.started


async def test_the_time_limit_ends_the_wait(bench):
    assert await bench.decode(time_limit=0.05).prefill(request()) is None
    assert bench.outcomes == {Outcome.TIMEOUT: 1}


async def test_a_queue_that_is_away_means_here(bench):
    bench.backend.available = False
    assert await bench.decode().prefill(request()) is None
    assert bench.outcomes == {Outcome.UNAVAILABLE: 1}


async def test_the_last_worker_to_leave_ends_the_wait(bench, until):
    task = asyncio.create_task(bench.decode().prefill(request()))
    await until(lambda: bench.backend.size() == 1)
    bench.workers_left = 0
    assert await task is None
    assert bench.outcomes == {Outcome.UNAVAILABLE: 1}


async def test_the_death_of_the_only_worker_ends_the_wait_at_once(bench, until):
    bench.workers_left = 1  # it stays listed for a while
    doomed = FakeEngine()
    doomed.gate.clear()
    puller = bench.worker(doomed)
    task = asyncio.create_task(bench.decode().prefill(request()))
    await until(lambda: doomed.running == 1)
    await asyncio.sleep(0.3)
    await bench.die(puller)
    assert await task is None
    assert bench.outcomes == {Outcome.UNAVAILABLE: 1}


async def test_what_is_no_request_is_buried(bench, until):
    await MemoryQueue(bench.backend).push(b"garbage", item_id="x")
    bench.worker(FakeEngine())
    await until(lambda: bench.dead.size() == 1)
    assert bench.backend.size() == 0


async def test_a_worker_takes_what_fits_and_leaves_the_rest(bench, until):
    engine, other = FakeEngine(), FakeEngine()
    engine.gate.clear()
    bench.worker(engine, token_budget=250)
    tasks = [asyncio.create_task(bench.decode().prefill(request(f"r{n}"))) for n in range(6)]
    await until(lambda: engine.running == 3)  # 100, 200, then 300 tokens: at the budget
    await asyncio.sleep(0.05)
    assert engine.running == 3
    bench.worker(other)
    await until(lambda: len(other.started) == 3)
    engine.gate.set()
    assert all(await asyncio.gather(*tasks))


async def test_pulling_survives_an_outage_of_the_queue(bench, monkeypatch, until):
    monkeypatch.setattr("workers.disaggregation.puller.RETRY_SECONDS", 0.01)
    bench.backend.available = False
    bench.worker(FakeEngine())
    await asyncio.sleep(0.03)
    bench.backend.available = True
    assert await bench.decode().prefill(request()) is not None
