"""Two deployments of prefill and decode in one namespace, moved at once within their budgets."""

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from random import Random

import pytest
from fake_cluster.kubelet import FakeKubelet
from fake_cluster.objects import workload
from fake_cluster.running import api_of, fake_api_server

from connectors.kubernetes.api import Api
from connectors.kubernetes.cluster import Cluster
from connectors.kubernetes.connector import KubernetesConnector, Manner
from connectors.kubernetes.kinds import DEPLOYMENTS
from planner.core.budget import started
from planner.core.observation import Replicas
from planner.core.role import Role

NAMES = ("one", "two")
BUDGET = 5
ROUNDS = 6


@pytest.fixture(params=["fake", pytest.param("real", marks=pytest.mark.kubernetes)])
async def place(request: pytest.FixtureRequest) -> AsyncIterator[tuple[Api, str]]:
    async with AsyncExitStack() as stack:
        if request.param == "fake":
            server = await stack.enter_async_context(fake_api_server())
            yield await stack.enter_async_context(api_of(server)), "ns"
        else:
            cluster = request.getfixturevalue("real_cluster")
            api = await stack.enter_async_context(cluster.api())
            yield api, await cluster.namespace(api)


async def follow(connector: KubernetesConnector, rng: Random) -> None:
    """Have the fleet become one mix after another, by the steps that the planner would take."""
    for _ in range(ROUNDS):
        prefill = rng.randint(1, BUDGET - 1)
        wanted = {Role.PREFILL: prefill, Role.DECODE: BUDGET - prefill}
        there = {role: Replicas(ready=count) for role, count in wanted.items()}
        async with asyncio.timeout(30):
            while (fleet := await connector.fleet()) != there:
                assert sum(replicas.provisioned for replicas in fleet.values()) <= BUDGET
                width = dict.fromkeys(wanted, 1)
                step = started(wanted, fleet, gpus_per_replica=width, max_gpus=BUDGET)
                await connector.scale(step)
                await asyncio.sleep(0.02)


async def test_both_follow_and_never_hold_more_than_their_gpus(place: tuple[Api, str]) -> None:
    api, namespace = place
    for name in NAMES:
        for role in (Role.PREFILL, Role.DECODE):
            item = workload("Deployment", role.value, replicas=1, deployment=name)
            item["metadata"]["name"] = f"{name}-{role}"
            item["spec"]["selector"]["matchLabels"] |= {"planner/deployment": name}
            await api.create(DEPLOYMENTS.path(namespace), item)
    kubelet = FakeKubelet(api, namespace)
    kubelet.start_seconds, kubelet.drain_seconds = 0.05, 0.1
    cluster = Cluster(api, namespace, clock=time.monotonic)
    await asyncio.gather(kubelet.start(), cluster.start())
    manner = Manner(max_gpus=BUDGET)
    connectors = [KubernetesConnector(cluster, name, manner=manner) for name in NAMES]
    try:
        pairs = zip(connectors, (Random(1), Random(2)), strict=True)
        await asyncio.gather(*(follow(connector, rng) for connector, rng in pairs))
    finally:
        for connector in connectors:
            await connector.close()
        await cluster.close()
        await kubelet.close()

    assert kubelet.most_gpus <= len(NAMES) * BUDGET
