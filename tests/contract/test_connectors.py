"""What every connector owes its caller: the truth about what it changed."""

import asyncio
import json
import os
import signal
import stat
import sys
import time
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path

import pytest
from fake_cluster.kubelet import FakeKubelet
from fake_cluster.objects import workload
from fake_cluster.running import api_of, fake_api_server
from real_cluster import RealCluster

from connectors.circus.client import CircusClient
from connectors.circus.connector import CircusConnector
from connectors.circus.daemon import Daemon, socket_directory, start_daemon, wait_daemon
from connectors.circus.processes import Child, children, is_alive
from connectors.circus.spec import DeploymentSpec, RoleSpec
from connectors.fake import FakeConnector
from connectors.kubernetes.api import Api
from connectors.kubernetes.cluster import Cluster
from connectors.kubernetes.connector import KubernetesConnector, Manner
from connectors.kubernetes.kinds import DEPLOYMENTS
from connectors.observe import ObserveConnector
from planner.core.budget import started
from planner.core.observation import Replicas
from planner.core.role import Role
from planner.errors import MetricsUnavailable, ScaleRejected
from planner.ports import Connector, Instance, InstanceState, Outcome

pytestmark = pytest.mark.contract

STANDIN = Path(__file__).with_name("standin_worker.py")
P, D = Role.PREFILL, Role.DECODE
Fleet = Mapping[Role, Replicas]


class Bench:
    """A connector over one prefill and one decode replica that are ready; 4 replicas fit."""

    connector: Connector

    async def pause(self) -> None:
        """Let a moment pass."""

    def slow(self, *, start: float = 0, drain: float = 0) -> None:
        """Have the replicas that start or drain from here on take so many seconds."""

    async def until(self, condition: Callable[[Fleet], bool]) -> Fleet:
        async with asyncio.timeout(15):
            while not condition(fleet := await self.connector.fleet()):
                await self.pause()
        return fleet


class FakeBench(Bench):
    def __init__(self) -> None:
        self.now = 0.0
        self.connector = self.fake = FakeConnector({P: 1, D: 1}, clock=lambda: self.now, capacity=4)

    async def pause(self) -> None:
        self.now += 0.1

    def slow(self, *, start: float = 0, drain: float = 0) -> None:
        self.fake.start_seconds, self.fake.drain_seconds = start, drain


class ObserveBench(FakeBench):
    def __init__(self) -> None:
        super().__init__()
        self.connector = ObserveConnector(self.fake)


@dataclass
class FolderRegistry:
    """The registrations that stand-in workers wrote; a dead one's has lapsed."""

    folder: Path
    in_flight: dict[str, int] = field(default_factory=dict)

    def records(self) -> dict[str, dict[str, object]]:
        found = {path.stem: json.loads(path.read_text()) for path in self.folder.glob("*.json")}
        return {name: record for name, record in found.items() if is_alive(record["pid"])}

    async def instances(self) -> Sequence[Instance]:
        return [
            Instance(
                name=name,
                role=Role(name.partition("-")[0]),
                state=InstanceState(record["state"]),
                in_flight=self.in_flight.get(name),
            )
            for name, record in self.records().items()
        ]

    async def frontends(self) -> Sequence[str]:
        return []


class CircusBench(Bench):
    def __init__(self, state: Path, daemon: Daemon) -> None:
        self.daemon = daemon
        self.registry = FolderRegistry(state)
        self.slow()
        command = (sys.executable, "-S", "-E", str(STANDIN), "{name}", str(state))
        self.spec = DeploymentSpec(
            namespace="test",
            endpoint=daemon.endpoint,
            store_url="",
            plane_url="",
            frontend_url="",
            log_directory=str(state),
            roles={role: RoleSpec(command=command, gpus=1) for role in (P, D)},
            gpus=("0", "1", "2", "3"),
            drain_seconds=5,
        )
        self.connector: CircusConnector = CircusConnector(self.spec, self.registry)

    def children(self) -> Sequence[Child]:
        return children(self.daemon.process.pid)

    def pid(self, name: str) -> int:
        return next(child.pid for child in self.children() if child.name == name)

    async def pause(self) -> None:
        await asyncio.sleep(0.02)

    def slow(self, *, start: float = 0, drain: float = 0) -> None:
        (self.registry.folder / "start_seconds").write_text(str(start))
        (self.registry.folder / "drain_seconds").write_text(str(drain))


@asynccontextmanager
async def circus_bench(state: Path) -> AsyncIterator[CircusBench]:
    log = state / "circus.log"
    daemon = start_daemon(socket_directory(state), log=log)
    bench = CircusBench(state, daemon)
    try:
        await wait_daemon(daemon, timeout=10, log=log)
        await bench.connector.scale({P: 1, D: 1})
        await bench.until(lambda fleet: all(replicas.ready == 1 for replicas in fleet.values()))
        yield bench
    finally:
        await bench.connector.close()
        left = [child.pid for child in bench.children()]
        daemon.process.kill()
        daemon.process.wait()
        for pid in left:
            os.kill(pid, signal.SIGKILL)


class KubernetesBench(Bench):
    """Two Deployments, with a kubelet that has GPUs enough: the connector keeps to 4 of them."""

    def __init__(self, cluster: Cluster, kubelet: FakeKubelet) -> None:
        self.kubelet = kubelet
        self.connector = KubernetesConnector(cluster, "test", manner=Manner(max_gpus=4))

    async def pause(self) -> None:
        await asyncio.sleep(0.02)

    def slow(self, *, start: float = 0, drain: float = 0) -> None:
        self.kubelet.start_seconds, self.kubelet.drain_seconds = start, drain


@asynccontextmanager
async def kubernetes_bench(api: Api, namespace: str) -> AsyncIterator[KubernetesBench]:
    for role in (P, D):
        path = DEPLOYMENTS.path(namespace)
        await api.create(path, workload("Deployment", role.value, replicas=1))
    kubelet = FakeKubelet(api, namespace)
    cluster = Cluster(api, namespace, deployment="test", clock=time.monotonic)
    await asyncio.gather(kubelet.start(), cluster.start())
    bench = KubernetesBench(cluster, kubelet)
    try:
        await bench.until(lambda fleet: all(replicas.ready == 1 for replicas in fleet.values()))
        yield bench
    finally:
        await bench.connector.close()
        await cluster.close()
        await kubelet.close()


@asynccontextmanager
async def kubernetes() -> AsyncIterator[Bench]:
    async with (
        fake_api_server() as server,
        api_of(server) as api,
        kubernetes_bench(api, "fake") as bench,
    ):
        yield bench


@asynccontextmanager
async def real_kubernetes(cluster: RealCluster) -> AsyncIterator[Bench]:
    async with (
        cluster.api() as api,
        kubernetes_bench(api, await cluster.namespace(api)) as bench,
    ):
        yield bench


@asynccontextmanager
async def in_memory(bench: Bench) -> AsyncIterator[Bench]:
    yield bench


REAL = pytest.param("apiserver", marks=pytest.mark.kubernetes)


def opened(request: pytest.FixtureRequest, folder: Path) -> AbstractAsyncContextManager[Bench]:
    contexts: dict[str, Callable[[], AbstractAsyncContextManager[Bench]]] = {
        "fake": lambda: in_memory(FakeBench()),
        "observe": lambda: in_memory(ObserveBench()),
        "circus": lambda: circus_bench(folder),
        "kubernetes": kubernetes,
        "apiserver": lambda: real_kubernetes(request.getfixturevalue("real_cluster")),
    }
    return contexts[request.param]()


@pytest.fixture(params=["fake", "observe", "circus", "kubernetes", REAL])
async def bench(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[Bench]:
    async with opened(request, tmp_path) as bench:
        yield bench


@pytest.fixture(params=["fake", "circus", "kubernetes", REAL])
async def acting(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[Bench]:
    async with opened(request, tmp_path) as bench:
        yield bench


@pytest.fixture
async def circus(tmp_path: Path) -> AsyncIterator[CircusBench]:
    async with circus_bench(tmp_path) as bench:
        yield bench


def ready(counts: Mapping[Role, int]) -> Fleet:
    return {role: Replicas(ready=count) for role, count in counts.items()}


def roles(names: Sequence[str]) -> list[Role]:
    """Return whose replicas *names* are: those of a cluster end in something of its own."""
    return [Role(name.partition("-")[0]) for name in names]


async def test_the_fleet_is_told_by_role(bench: Bench) -> None:
    assert await bench.connector.fleet() == {P: Replicas(ready=1), D: Replicas(ready=1)}


@pytest.mark.parametrize("desired", [{}, {D: 1}, {P: 1, D: 1}], ids=["nothing", "one", "all"])
async def test_nothing_to_change_is_unchanged(bench: Bench, desired: Mapping[Role, int]) -> None:
    result = await bench.connector.scale(desired)

    assert (result.outcome, result.started, result.draining) == (Outcome.UNCHANGED, (), ())


@pytest.mark.parametrize("wanted", [0, 2, 3], ids=["down to 0", "up by 1", "up by 2"])
async def test_applied_is_said_only_of_what_was_applied(bench: Bench, wanted: int) -> None:
    result = await bench.connector.scale({D: wanted})

    fleet = await bench.connector.fleet()
    assert fleet[D].current == (wanted if result.outcome is Outcome.APPLIED else 1)
    assert fleet[P] == Replicas(ready=1)
    assert result.outcome in (Outcome.APPLIED, Outcome.OBSERVED)


@pytest.mark.parametrize(
    ("desired", "message"),
    [
        pytest.param({D: -1}, "decode: cannot have -1 replicas", id="negative"),
        pytest.param({Role.AGGREGATED: 1}, "no such role", id="foreign role"),
        pytest.param({P: 0, D: -1}, "cannot have -1", id="half of it bad"),
    ],
)
async def test_what_makes_no_sense_changes_nothing(
    bench: Bench, desired: Mapping[Role, int], message: str
) -> None:
    with pytest.raises(ScaleRejected, match=message):
        await bench.connector.scale(desired)

    assert await bench.connector.fleet() == {P: Replicas(ready=1), D: Replicas(ready=1)}


async def test_asking_twice_starts_once(acting: Bench) -> None:
    first = await acting.connector.scale({D: 3})
    second = await acting.connector.scale({D: 3})

    assert first.started == ("decode-2", "decode-3")
    assert second.outcome is Outcome.UNCHANGED
    assert (await acting.until(lambda f: f[D].ready == 3))[D] == Replicas(ready=3)


async def test_a_replica_starts_before_it_is_ready(acting: Bench) -> None:
    acting.slow(start=0.5)
    await acting.connector.scale({P: 2})

    assert (await acting.connector.fleet())[P] == Replicas(ready=1, starting=1)
    await acting.until(lambda fleet: fleet[P] == Replicas(ready=2))


async def test_those_that_do_not_serve_yet_leave_first(acting: Bench) -> None:
    acting.slow(start=60)
    await acting.connector.scale({D: 3})
    result = await acting.connector.scale({D: 1})

    assert roles(result.draining) == [D, D]
    await acting.until(lambda fleet: fleet[D] == Replicas(ready=1))


async def test_a_drained_replica_is_counted_until_it_is_gone(acting: Bench) -> None:
    acting.slow(drain=0.5)
    result = await acting.connector.scale({D: 0})

    assert roles(result.draining) == [D]
    assert (await acting.connector.fleet())[D] == Replicas(draining=1)
    await acting.until(lambda fleet: fleet[D] == Replicas())


async def test_a_drain_blocks_no_start_and_keeps_its_name(acting: Bench) -> None:
    acting.slow(drain=60)
    await acting.connector.scale({D: 0})
    result = await acting.connector.scale({D: 1})

    assert result.started == ("decode-2",)
    await acting.until(lambda fleet: fleet[D] == Replicas(ready=1, draining=1))


async def test_one_call_shrinks_and_grows(acting: Bench) -> None:
    result = await acting.connector.scale({P: 0, D: 3})

    assert roles(result.draining) == [P]
    assert result.started == ("decode-2", "decode-3")
    await acting.until(lambda f: f == {P: Replicas(), D: Replicas(ready=3)})


async def test_what_does_not_fit_is_refused(acting: Bench) -> None:
    with pytest.raises(ScaleRejected, match="changed"):
        await acting.connector.scale({P: 2, D: 3})  # 5 where 4 fit

    fleet = await acting.connector.fleet()
    assert sum(replicas.provisioned for replicas in fleet.values()) <= 4


async def test_an_exchange_stays_inside_the_budget(acting: Bench) -> None:
    acting.slow(drain=0.2)
    for wanted in ({P: 1, D: 3}, {P: 3, D: 1}, {P: 2, D: 2}):
        while (fleet := await acting.connector.fleet()) != ready(wanted):
            assert sum(replicas.provisioned for replicas in fleet.values()) <= 4
            width = dict.fromkeys(wanted, 1)
            step = started(wanted, fleet, gpus_per_replica=width, max_gpus=4)
            await acting.connector.scale(step)
            await acting.pause()


async def test_the_idlest_ready_replica_leaves(circus: CircusBench) -> None:
    await circus.connector.scale({D: 3})
    await circus.until(lambda fleet: fleet[D].ready == 3)
    circus.registry.in_flight |= {"decode-1": 4, "decode-2": 1, "decode-3": 9}
    result = await circus.connector.scale({D: 2})

    assert result.draining == ("decode-2",)


async def test_each_replica_gets_gpus_of_its_own(circus: CircusBench) -> None:
    await circus.connector.scale({P: 2, D: 2})
    fleet = await circus.until(lambda f: all(replicas.ready == 2 for replicas in f.values()))

    gpus = [record["gpus"] for record in circus.registry.records().values()]
    assert sorted(map(str, gpus)) == ["0", "1", "2", "3"]
    assert fleet[P] == fleet[D] == Replicas(ready=2)


async def test_a_draining_replica_keeps_its_gpu(circus: CircusBench) -> None:
    circus.slow(drain=60)
    await circus.connector.scale({P: 2, D: 2})
    await circus.until(lambda f: all(replicas.ready == 2 for replicas in f.values()))
    await circus.connector.scale({D: 1})

    with pytest.raises(ScaleRejected, match="prefill-3 not started: needs 1 GPUs, 0 of 4"):
        await circus.connector.scale({P: 3})


async def test_a_crashed_replica_comes_back(circus: CircusBench) -> None:
    dead = circus.pid("decode-1")
    os.kill(dead, signal.SIGKILL)

    await circus.until(lambda fleet: fleet[D] == Replicas(starting=1))
    await circus.until(lambda fleet: fleet[D] == Replicas(ready=1))
    assert circus.pid("decode-1") != dead


async def test_a_replica_that_will_not_leave_is_killed(
    circus: CircusBench, caplog: pytest.LogCaptureFixture
) -> None:
    circus.slow(drain=600)
    await circus.connector.close()
    circus.connector = CircusConnector(replace(circus.spec, drain_seconds=0.3), circus.registry)
    stuck = circus.pid("decode-1")
    await circus.connector.scale({D: 0})
    await circus.until(lambda fleet: fleet[D] == Replicas())

    assert not is_alive(stuck)
    assert "replica killed name=decode-1" in caplog.text


async def test_another_connector_sees_what_drains(circus: CircusBench) -> None:
    circus.slow(drain=60)
    await circus.connector.scale({D: 0})
    await circus.connector.close()
    circus.connector = CircusConnector(circus.spec, circus.registry)

    assert (await circus.connector.fleet())[D] == Replicas(draining=1)
    assert (await circus.connector.scale({D: 1})).started == ("decode-2",)


async def test_the_replicas_end_with_the_supervisor(circus: CircusBench) -> None:
    left = [child.pid for child in circus.children()]
    circus.daemon.process.kill()
    circus.daemon.process.wait()
    async with asyncio.timeout(10):
        while any(is_alive(pid) for pid in left):
            await circus.pause()

    assert len(left) == 2
    with pytest.raises(MetricsUnavailable, match="no supervisor"):
        await circus.connector.fleet()
    with pytest.raises(ScaleRejected, match="nothing changed"):
        await circus.connector.scale({D: 2})


async def test_nobody_else_may_talk_to_the_supervisor(circus: CircusBench) -> None:
    path = circus.spec.endpoint.removeprefix("ipc://")

    assert mode(path.rpartition("/")[0]) == 0o700
    assert mode(path) & 0o077 == 0


def mode(path: str) -> int:
    return stat.S_IMODE(Path(path).stat().st_mode)


async def test_adding_and_forgetting_twice_is_once(circus: CircusBench) -> None:
    client = CircusClient(circus.spec.endpoint)
    for _ in range(2):
        await client.add("extra", ["sleep", "60"], log=Path("/dev/null"), env={})
    assert [child.name for child in circus.children()].count("extra") == 1
    os.kill(circus.pid("extra"), signal.SIGTERM)
    for _ in range(2):
        await client.forget("extra")

    assert await client.names() == {"prefill-1", "decode-1"}
    client.close()


async def test_many_changes_at_once_lose_none(circus: CircusBench) -> None:
    client = CircusClient(circus.spec.endpoint)
    names = [f"extra-{index}" for index in range(8)]
    env: dict[str, str] = {}
    await asyncio.gather(
        *(client.add(name, ["sleep", "60"], log=Path("/dev/null"), env=env) for name in names)
    )

    assert {child.name for child in circus.children()} == {"prefill-1", "decode-1", *names}
    client.close()
