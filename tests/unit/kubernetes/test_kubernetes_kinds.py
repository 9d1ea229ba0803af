"""What differs between the kinds that are scaled, and how replicas leave them."""

import asyncio
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager

import pytest
from aiohttp import web
from fake_cluster.objects import leader_worker_set, workload
from fake_cluster.place import Place, true, until

from connectors.kubernetes.cluster import DEFAULT_KINDS
from connectors.kubernetes.connector import KubernetesConnector, Manner
from connectors.kubernetes.departure import Drain
from connectors.kubernetes.kinds import (
    DEPLOYMENTS,
    LEADER_WORKER_SETS,
    STATEFUL_SETS,
    Kind,
)
from connectors.kubernetes.registry import PodRegistry
from planner.core.observation import Replicas
from planner.core.role import Role
from planner.errors import ConfigError, MetricsUnavailable, ScaleRejected
from planner.ports import InstanceState

P, D = Role.PREFILL, Role.DECODE


@pytest.mark.parametrize("kind", [DEPLOYMENTS, STATEFUL_SETS, LEADER_WORKER_SETS], ids=str)
def test_a_kind_is_read_as_it_is_written(kind: Kind) -> None:
    assert Kind.parse(str(kind)) == kind


@pytest.mark.parametrize("text", ["deployments", "apps/v1", "apps/v1/", "a/b/c/d", "Apps/v1/x"])
def test_what_is_no_kind_is_refused(text: str) -> None:
    with pytest.raises(ConfigError, match="is not GROUP/VERSION/PLURAL"):
        Kind.parse(text)


async def test_the_last_of_a_stateful_set_leaves(empty: Place) -> None:
    empty.put(STATEFUL_SETS, workload("StatefulSet", "decode", replicas=3))
    connector = await empty.connector(manner=Manner(drain=Drain(seconds=60)))
    await until(connector, lambda fleet: fleet[D].ready == 3)
    empty.in_flight |= {"decode-0": 0, "decode-1": 0, "decode-2": 9}

    assert (await connector.scale({D: 1})).draining == ("decode-2", "decode-1")
    await until(connector, lambda fleet: fleet[D] == Replicas(ready=1))
    assert empty.pods() == ["decode-0"]


async def test_a_group_of_pods_is_one_replica_with_all_their_gpus(empty: Place) -> None:
    empty.put(LEADER_WORKER_SETS, leader_worker_set("decode", replicas=1, size=2, gpus=4))
    cluster = await empty.watching(kinds=(*DEFAULT_KINDS, LEADER_WORKER_SETS))
    connector = await empty.connector(cluster, manner=Manner(max_gpus=20))
    await until(connector, lambda fleet: fleet[D] == Replicas(ready=1))

    with pytest.raises(ScaleRejected, match=r"1 decode not started: 8 GPUs each, 4 of 20 are free"):
        await connector.scale({D: 3})
    await until(connector, lambda fleet: fleet[D] == Replicas(ready=2))
    assert len(empty.pods()) == 4
    assert (await connector.scale({D: 1})).draining == ("decode-1",)


async def test_a_group_is_ready_when_all_of_it_is(empty: Place) -> None:
    empty.kubelet.gpus = 6
    empty.put(LEADER_WORKER_SETS, leader_worker_set("decode", replicas=1, size=2, gpus=4))
    connector = await empty.connector(await empty.watching(kinds=(LEADER_WORKER_SETS,)))
    await true(lambda: len(empty.pods()) == 2)

    assert (await connector.fleet())[D] == Replicas(starting=1)
    empty.kubelet.gpus = 8
    empty.kubelet.place_again()
    await until(connector, lambda fleet: fleet[D] == Replicas(ready=1))


async def test_the_idlest_leaves_a_deployment(place: Place) -> None:
    connector = await place.connector()
    await connector.scale({D: 4})
    await until(connector, lambda fleet: fleet[D].ready == 4)
    names = [name for name in place.pods() if name.startswith("decode")]
    place.in_flight |= dict(zip(names, (5, 3, 1, 7), strict=True))
    result = await connector.scale({D: 2})

    assert result.draining == (names[2], names[1])
    await until(connector, lambda fleet: fleet[D] == Replicas(ready=2))
    assert {name for name in place.pods() if name.startswith("decode")} == {names[0], names[3]}


async def test_a_replica_is_told_to_drain_and_let_go_once_idle(empty: Place) -> None:
    async with drainable() as (url, told):
        notes = {"planner/drain-url": url}
        empty.put(DEPLOYMENTS, workload("Deployment", "decode", replicas=2, notes=notes))
        connector = await empty.connector(manner=Manner(drain=Drain(seconds=60)))
        await until(connector, lambda fleet: fleet[D].ready == 2)
        one, other = empty.pods()
        empty.in_flight |= {one: 3, other: 1}
        result = await connector.scale({D: 1})

        assert result.draining == (other,)
        assert await connector.fleet() == {D: Replicas(ready=1, draining=1)}
        assert empty.replicas("decode") == 2
        await true(lambda: told == ["/drain"])
        empty.in_flight[other] = 0
        await until(connector, lambda fleet: fleet[D] == Replicas(ready=1))
        assert empty.pods() == [one]
        assert empty.replicas("decode") == 1


async def test_nobody_drains_where_the_cluster_picks_who_leaves(place: Place) -> None:
    place.server.minor = "20"
    connector = await place.connector(manner=Manner(drain=Drain(seconds=60)))
    await until(connector, lambda fleet: fleet[D].ready == 2)
    place.in_flight |= dict.fromkeys(place.pods(), 1)
    await connector.scale({D: 1})

    assert place.replicas("decode") == 1


async def test_a_drain_goes_on_under_another_planner(place: Place) -> None:
    manner = Manner(drain=Drain(seconds=0.5))
    first = await place.connector(manner=manner)
    await until(first, lambda fleet: fleet[D].ready == 2)
    place.in_flight |= dict.fromkeys(place.pods(), 1)
    await first.scale({D: 1})
    await first.close()
    second = await place.connector(manner=manner)

    await until(second, lambda fleet: fleet[D] == Replicas(ready=1))
    assert place.replicas("decode") == 1


async def test_a_draining_replica_is_not_replaced_by_its_own_number(place: Place) -> None:
    connector = await place.connector(manner=Manner(drain=Drain(seconds=60), max_gpus=4))
    await until(connector, lambda fleet: fleet[D].ready == 2)
    place.in_flight |= dict.fromkeys(place.pods(), 1)
    await connector.scale({D: 1})
    await connector.scale({D: 2})

    await until(connector, lambda fleet: fleet[D] == Replicas(ready=2, draining=1))
    assert place.replicas("decode") == 3
    with pytest.raises(ScaleRejected, match="0 of 4 are free"):
        await connector.scale({P: 2})


async def test_a_rebalance_never_holds_more_than_the_budget(place: Place) -> None:
    place.kubelet.drain_seconds = 0.1
    connector = await place.connector(manner=Manner(max_gpus=3))
    await until(connector, lambda fleet: fleet[D].ready == 2)
    for wanted in ({P: 2, D: 1}, {P: 1, D: 2}, {P: 2, D: 1}):
        with pytest.raises(ScaleRejected, match="0 of 3 are free"):
            await connector.scale(wanted)
        while not await is_scaled(connector, wanted):  # noqa: ASYNC110 - the test's own steps
            await asyncio.sleep(0.02)
        await until(connector, lambda f, w=wanted: all(f[r] == Replicas(ready=w[r]) for r in w))

    assert place.kubelet.most_gpus == 3


async def test_two_of_one_role_are_an_error(place: Place) -> None:
    second = workload("StatefulSet", "decode", replicas=1)
    place.put(STATEFUL_SETS, second)
    connector = await place.connector()

    with pytest.raises(MetricsUnavailable, match="both labelled planner/role=decode"):
        await connector.fleet()


async def test_pods_without_the_labels_are_an_error(empty: Place) -> None:
    item = workload("Deployment", "decode", replicas=1)
    item["spec"]["template"]["metadata"] = {"labels": {"app": "x"}}
    empty.put(DEPLOYMENTS, item)
    connector = await empty.connector()

    with pytest.raises(MetricsUnavailable, match="its pods do not get the labels"):
        await connector.fleet()


async def test_ready_pods_are_where_their_annotation_says(empty: Place) -> None:
    notes = {"planner/metrics-url": ":8000"}
    empty.put(DEPLOYMENTS, workload("Deployment", "decode", replicas=1, notes=notes))
    cluster = await empty.watching()
    connector = await empty.connector(cluster)
    registry = PodRegistry(cluster, "test")
    assert await registry.instances() == []
    await until(connector, lambda fleet: fleet[D].ready == 1)
    (one,) = await registry.instances()

    assert (one.role, one.state) == (D, InstanceState.READY)
    assert (one.name, one.metrics_url) == (empty.pods()[0], "http://127.0.0.1:8000")


async def test_pods_that_tell_no_address_are_an_error(place: Place) -> None:
    cluster = await place.watching()
    connector = await place.connector(cluster)
    await until(connector, lambda fleet: (fleet[D].ready, fleet[P].ready) == (2, 1))

    with pytest.raises(MetricsUnavailable, match="no pod of test tells where its metrics are"):
        await PodRegistry(cluster, "test").instances()
    assert len(await PodRegistry(cluster, "test", frontends=["http://f"]).instances()) == 3


async def test_one_watch_serves_many_deployments(empty: Place) -> None:
    for n in range(20):
        item = workload("Deployment", "decode", replicas=1, deployment=f"d{n}", gpus=0)
        item["metadata"]["name"] = f"d{n}"
        empty.put(DEPLOYMENTS, item)
    cluster = await empty.watching(deployment=None)
    connectors = [await empty.connector(cluster, deployment=f"d{n}") for n in range(20)]
    for connector in connectors:
        await until(connector, lambda fleet: fleet[D].ready == 1)
    before = empty.scale_requests()
    for connector in connectors:
        await connector.fleet()
        await connector.scale({D: 1})
    assert empty.scale_requests() == before
    for connector in connectors[:10]:
        await connector.scale({D: 2})
    assert empty.scale_requests() - before <= 15


async def is_scaled(connector: KubernetesConnector, wanted: Mapping[Role, int]) -> bool:
    try:
        await connector.scale(wanted)
    except ScaleRejected:
        return False
    return True


@asynccontextmanager
async def drainable() -> AsyncIterator[tuple[str, list[str]]]:
    """A server that is told to drain: its address in a pod, and the paths it was told at."""
    told: list[str] = []

    async def drain(request: web.Request) -> web.Response:
        told.append(request.path)
        return web.Response()

    app = web.Application()
    app.router.add_post("/drain", drain)
    runner = web.AppRunner(app)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    try:
        yield f":{runner.addresses[0][1]}/drain", told
    finally:
        await runner.cleanup()
