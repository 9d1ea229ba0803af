"""A real API server takes every overlay, keeps every field of it, and its controllers make pods."""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from fake_cluster.kubelet import FakeKubelet
from manifests import KUBERNETES, OVERLAYS, built, collection, create, read
from real_cluster import RealCluster

from connectors.kubernetes.api import Api, ApiRefused
from connectors.kubernetes.kinds import DEPLOYMENTS, PODS

pytestmark = pytest.mark.kubernetes
_SECONDS = 30.0


@pytest.fixture
async def place(real_cluster: RealCluster) -> AsyncIterator[tuple[Api, str]]:
    async with real_cluster.api() as api:
        yield api, await real_cluster.namespace(api)


def missing(wanted: Any, kept: Any, path: str = "") -> list[str]:
    """Return the fields of *wanted* that *kept* has not, or has otherwise."""
    if isinstance(wanted, dict) and isinstance(kept, dict):
        return [
            one
            for key, value in wanted.items()
            for one in missing(value, kept.get(key), f"{path}.{key}")
        ]
    if isinstance(wanted, list) and isinstance(kept, list) and len(wanted) == len(kept):
        pairs = enumerate(zip(wanted, kept, strict=True))
        return [one for n, (a, b) in pairs for one in missing(a, b, f"{path}[{n}]")]
    return [] if wanted == kept else [f"{path}: {kept}"]


async def stored(api: Api, namespace: str, item: dict) -> dict:
    path = f"{collection(item, namespace)}/{item['metadata']['name']}"
    try:
        return await api.get(path)
    except ApiRefused:
        return await api.get(path.replace("policy/v1/", "policy/v1beta1/"))


@pytest.mark.parametrize("folder", OVERLAYS, ids=lambda path: path.name)
async def test_every_field_is_kept(place: tuple[Api, str], folder: Path) -> None:
    api, namespace = place
    items = built(folder)
    await create(api, namespace, items)

    for item in items:
        kept = await stored(api, namespace, item)
        assert missing(item | {"apiVersion": kept["apiVersion"]}, kept) == []


async def test_the_autoscalers_of_the_examples_are_taken(place: tuple[Api, str]) -> None:
    api, namespace = place
    items = read(KUBERNETES / "examples" / "hpa.yaml")
    await create(api, namespace, items)

    path = f"/apis/autoscaling/v2beta2/namespaces/{namespace}/horizontalpodautoscalers"
    for item in items:
        kept = await api.get(f"{path}/{item['metadata']['name']}")
        assert missing(item["spec"], kept["spec"]) == []


async def test_its_workloads_become_ready_pods(place: tuple[Api, str]) -> None:
    api, namespace = place
    items = built(next(path for path in OVERLAYS if path.name == "simulated"))
    kubelet = FakeKubelet(api, namespace)
    await kubelet.start()
    try:
        await create(api, namespace, items)
        async with asyncio.timeout(_SECONDS):
            while len(await ready(api, namespace)) < 8:  # noqa: ASYNC110 - another process
                await asyncio.sleep(0.1)
        names = {name.partition("-")[0] for name in await ready(api, namespace)}
        assert names == {"planner", "frontend", "etcd", "nats", "prefill", "decode"}
        # What the planner has moved stays as it is when the manifests are applied again.
        scale = f"{DEPLOYMENTS.path(namespace, 'decode')}/scale"
        await api.patch(scale, {"spec": {"replicas": 3}})
        (decode,) = [
            one
            for one in items
            if one["metadata"]["name"] == "decode" and one["kind"] == "Deployment"
        ]
        await api.patch(DEPLOYMENTS.path(namespace, "decode"), decode)
        assert (await api.get(scale))["spec"]["replicas"] == 3
    finally:
        await kubelet.close()


async def ready(api: Api, namespace: str) -> list[str]:
    pods = (await api.get(PODS.path(namespace)))["items"]
    return [
        pod["metadata"]["name"]
        for pod in pods
        for one in pod["status"].get("conditions", ())
        if (one["type"], one["status"]) == ("Ready", "True")
    ]
