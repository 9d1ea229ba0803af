"""The whole loop while the API server is away or busy: turn by turn, on the test's clock."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest
from fake_cluster.place import Place, until
from fake_cluster.server import FakeApiServer
from kubernetes.aio import client
from prometheus_client import CollectorRegistry

from connectors.kubernetes.api import Api
from connectors.kubernetes.connector import Manner
from connectors.kubernetes.kinds import DEPLOYMENTS
from planner.core.observation import Observation, Replicas, RoleLoad
from planner.core.policy import Mode, PolicyConfig
from planner.core.role import Role
from planner.core.sla import Sla
from planner.errors import ScaleRejected
from planner.journal import Entry, Journal, Run
from planner.loop import Clocks, ControlLoop, Policy, Surroundings
from planner.metrics import LoopMetrics
from planner.sources.fake import FakeSource

P, D = Role.PREFILL, Role.DECODE
TURN_SECONDS = 5.0
CONFIG = PolicyConfig(
    sla=Sla(ttft_seconds=1.0), mode=Mode.LOAD, interval_seconds=TURN_SECONDS, cold_start_seconds=1.0
)


def waiting(decode: int) -> Observation:
    """Return what is seen while so many requests wait at decode replicas."""
    load = {P: RoleLoad(waiting=0, kv_usage=0.5), D: RoleLoad(waiting=decode, kv_usage=0.5)}
    return Observation(at=0.0, fleet={}, load=load)


@dataclass
class Turns:
    """A loop that takes a turn when it is told to, five seconds after the last one."""

    loop: ControlLoop
    source: FakeSource
    now: list[float]

    async def next(self) -> Entry:
        self.now[0] += TURN_SECONDS
        return await self.loop.turn()


@asynccontextmanager
async def turning(place: Place, folder: Path) -> AsyncIterator[Turns]:
    now = [1000.0]
    cluster = await place.watching(clock=lambda: now[0], patience=10.0)
    connector = await place.connector(cluster, clock=lambda: now[0])
    await until(connector, lambda f: f == {P: Replicas(ready=1), D: Replicas(ready=2)})
    source = FakeSource(waiting(0))
    with Journal.open(folder / "journal.sqlite") as journal:
        around = Surroundings(
            source=source,
            connector=connector,
            journal=journal,
            run=journal.begin(Run(started=0.0, mode="acts", sla="ttft=1s")),
            metrics=LoopMetrics(CollectorRegistry()),
            clocks=Clocks(steady=lambda: now[0], wall=lambda: now[0]),
        )
        yield Turns(ControlLoop(Policy(config=CONFIG, profile=None), around), source, now)


async def test_a_minute_without_the_api_server_holds_the_fleet_and_then_goes_on(
    place: Place, tmp_path: Path
) -> None:
    async with turning(place, tmp_path) as turns:
        await turns.next()
        place.server.go_down()
        turns.source.observation = waiting(20)  # 4 replicas' worth
        entries = [await turns.next() for _ in range(12)]
        assert not any(entry.outcome == "applied" for entry in entries)
        assert place.replicas("decode") == 2
        # What it knew is good for a while; then it says since when it knows nothing.
        assert "the API server does not answer" in (entries[0].note or "")
        assert "nothing is known of namespace ns since 5" in (entries[-1].note or "")
        assert entries[-1].plan is not None
        assert entries[-1].plan.desired == {P: 1, D: 2}

        place.server.come_up()
        async with asyncio.timeout(15):
            while (await turns.next()).outcome != "applied":  # noqa: ASYNC110
                await asyncio.sleep(0.05)
        assert place.replicas("decode") == 4


async def test_a_minute_of_conflicts_on_every_second_write_still_follows(
    place: Place, tmp_path: Path
) -> None:
    async with turning(place, tmp_path) as turns:
        place.server.faults.conflict_every = 2
        for wait, decode in ((20, 4), (0, 4), (80, 8)):
            turns.source.observation = waiting(wait)
            await turns.next()
            assert place.replicas("decode") == decode

    assert place.server.scale_writes == [("decode", 4), ("decode", 8)]


async def test_a_busy_server_is_asked_again_no_sooner_than_it_says(server: FakeApiServer) -> None:
    waits: list[float] = []

    async def sleep(seconds: float) -> None:
        waits.append(seconds)

    configuration = client.Configuration(host=server.url)
    api = Api(client.ApiClient(configuration), sleep=sleep)
    server.faults.busy, server.faults.retry_after = 2, "1"
    try:
        await api.get(DEPLOYMENTS.path("ns"))
    finally:
        await api.close()

    assert len(waits) == 2
    assert all(1.0 <= wait <= 1.3 for wait in waits)


async def test_a_stale_watch_frees_no_gpus(place: Place) -> None:
    """What was let go holds its GPUs for as long as nobody says that it is gone."""
    connector = await place.connector(manner=Manner(max_gpus=3))
    await until(connector, lambda fleet: fleet[D].ready == 2 and fleet[P].ready == 1)
    place.server.faults.deaf = True
    await connector.scale({D: 1})
    for _ in range(3):
        with pytest.raises(ScaleRejected, match="1 prefill not started"):
            await connector.scale({P: 2})
    assert place.replicas("prefill") == 1

    place.server.faults.deaf = False
    place.server.cut_watches()
    await until(connector, lambda fleet: fleet[D] == Replicas(ready=1))
    await connector.scale({P: 2})
    await until(connector, lambda fleet: fleet[P] == Replicas(ready=2))
    assert place.kubelet.most_gpus == 3
