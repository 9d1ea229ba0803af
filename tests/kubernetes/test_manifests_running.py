"""The overlay "simulated" on a real API server, its containers as processes."""

import asyncio
import json
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack
from pathlib import Path

import aiohttp
import pytest
from containers import addresses
from manifests import KUBERNETES, built, create
from process_kubelet import ProcessKubelet
from real_cluster import RealCluster

from connectors.kubernetes.api import Api
from connectors.kubernetes.kinds import DEPLOYMENTS, LEASES, PODS

pytestmark = pytest.mark.kubernetes
SECONDS = 90.0
NAMED = ("etcd", "nats", "frontend-0.frontends", "frontend-1.frontends")
KUBECONFIG = """\
apiVersion: v1
kind: Config
clusters: [{{name: t, cluster: {{server: "{url}", insecure-skip-tls-verify: true}}}}]
users: [{{name: planner, user: {{token: {token}}}}}]
contexts: [{{name: t, context: {{cluster: t, user: planner}}}}]
current-context: t
"""


class Stage:
    def __init__(self, api: Api, namespace: str, kubelet: ProcessKubelet) -> None:
        self.api, self.namespace, self.kubelet = api, namespace, kubelet

    async def ready(self) -> list[str]:
        pods = (await self.api.get(PODS.path(self.namespace)))["items"]
        conditions = {pod["metadata"]["name"]: pod["status"].get("conditions", ()) for pod in pods}
        return [
            name
            for name, its in conditions.items()
            if any((one["type"], one["status"]) == ("Ready", "True") for one in its)
        ]

    async def until(self, condition: Callable[[], Awaitable[bool]]) -> None:
        try:
            async with asyncio.timeout(SECONDS):
                while not await condition():  # noqa: ASYNC110 - other processes
                    await asyncio.sleep(0.2)
        except TimeoutError:
            logs = {n: one.log.read_text()[-600:] for n, one in self.kubelet.running.items()}
            pytest.fail("\n".join(f"== {name}\n{text}" for name, text in logs.items()))


def hurried(item: dict) -> dict:
    """Return *item* with engines that take no time to load."""
    return json.loads(json.dumps(item).replace("--cold-start=10s", "--cold-start=0s"))


@pytest.fixture
async def stage(real_cluster: RealCluster, tmp_path: Path) -> AsyncIterator[Stage]:
    async with AsyncExitStack() as stack:
        api = await stack.enter_async_context(real_cluster.api())
        namespace = await real_cluster.namespace(api)
        items = [hurried(one) for one in built(KUBERNETES / "overlays" / "simulated")]
        account = [one for one in items if one["kind"] == "ServiceAccount"]
        await create(api, namespace, account)
        path = f"/api/v1/namespaces/{namespace}/serviceaccounts/planner/token"
        answer = await api.create(path, {"spec": {"expirationSeconds": 3600}})
        kubeconfig = tmp_path / "kubeconfig"
        token = answer["status"]["token"]
        kubeconfig.write_text(KUBECONFIG.format(url=real_cluster.url, token=token))
        hosts = dict(addresses(NAMED))
        # A pod of a StatefulSet has the address by which the others know it.
        hosts |= {f"{name}-0": hosts[name] for name in ("etcd", "nats")}
        hosts |= {f"frontend-{n}": hosts[f"frontend-{n}.frontends"] for n in (0, 1)}
        env = {
            "KUBECONFIG": str(kubeconfig), "PLANNER_KUBE_NAMESPACE": namespace,
            "PLANNER_COLD_START": "5s", "PLANNER_INTERVAL": "1s", "PLANNER_STABILIZATION": "20s",
        }  # fmt: skip
        kubelet = ProcessKubelet(api, namespace, folder=tmp_path, hosts=hosts, env=env)
        stack.push_async_callback(kubelet.close)
        await kubelet.start()
        await create(api, namespace, [one for one in items if one not in account])
        yield Stage(api, namespace, kubelet)


async def test_it_serves_and_its_planner_shrinks_what_nobody_needs(stage: Stage) -> None:
    async def all_ready() -> bool:
        return len(await stage.ready()) == 8

    await stage.until(all_ready)
    frontend = stage.kubelet.running["frontend-1"].address
    async with aiohttp.ClientSession(raise_for_status=True) as session:
        body = {"model": "simulated", "prompt": "word " * 300, "max_tokens": 8}
        async with session.post(f"http://{frontend}:8080/v1/completions", json=body) as answer:
            assert (await answer.json())["usage"]["completion_tokens"] == 8

    # Somebody wants two more; there is no load for them, and they leave as they should.
    scale = f"{DEPLOYMENTS.path(stage.namespace, 'decode')}/scale"
    await stage.api.patch(scale, {"spec": {"replicas": 3}})

    async def grown() -> bool:
        return len([name for name in await stage.ready() if name.startswith("decode-")]) == 3

    async def shrunk() -> bool:
        return (await stage.api.get(scale))["spec"]["replicas"] == 1 and len(
            stage.kubelet.exits
        ) == 2

    await stage.until(grown)
    await stage.until(shrunk)
    await stage.until(lambda: _settled(stage.kubelet))
    assert set(stage.kubelet.exits.values()) == {0}
    assert all(name.startswith("decode-") for name in stage.kubelet.exits)
    lease = await stage.api.get(LEASES.path(stage.namespace, "planner-chat"))
    assert lease["spec"]["holderIdentity"]


async def _settled(kubelet: ProcessKubelet) -> bool:
    return -1 not in kubelet.exits.values()
