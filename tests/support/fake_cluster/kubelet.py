"""A scheduler and kubelet for any API server: places pods on GPUs, readies them, sees them end."""

import asyncio
import contextlib
import time
from contextlib import aclosing

from connectors.kubernetes.api import Api, ApiAway, ApiFault, ApiRefused, Json
from connectors.kubernetes.kinds import PODS

_GPU = "nvidia.com/gpu"


class FakeKubelet:
    """Runs the pods of *namespace*: ready after *start_seconds*, gone *drain_seconds* after asked.

    With *gpus* only so many fit; others stay Pending and are said to be unschedulable.
    """

    def __init__(self, api: Api, namespace: str, *, gpus: int | None = None) -> None:
        self._api = api
        self._path = PODS.path(namespace)
        self.gpus = gpus
        self.start_seconds = 0.0
        self.drain_seconds = 0.0
        self.has_addresses = False
        """Whether each pod has an address of its own on this machine's loopback."""
        self.addresses: dict[str, Json] = {}
        """Pods by the address that they were given."""
        self.most_gpus = 0
        """Most GPUs that were held at any time."""
        self._pods: dict[str, Json] = {}
        self._begun: set[str] = set()
        self._tasks: set[asyncio.Task[None]] = set()

    @property
    def pods(self) -> list[Json]:
        """What is there, as last heard."""
        return list(self._pods.values())

    async def start(self) -> None:
        self._spawn(self._run())

    async def close(self) -> None:
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    def place_again(self) -> None:
        """Try to place what is unplaced, after *gpus* was changed."""
        for pod in list(self._pods.values()):
            self._see(pod)

    async def _run(self) -> None:
        while True:
            with contextlib.suppress(ApiFault):
                await self._follow()
            await asyncio.sleep(0.05)

    async def _follow(self) -> None:
        listed = await self._api.get(self._path)
        self._pods = {pod["metadata"]["name"]: pod for pod in listed["items"]}
        self.place_again()
        version = listed["metadata"]["resourceVersion"]
        async with aclosing(self._api.watch(self._path, version=version, seconds=60)) as events:
            async for event in events:
                if event.type == "BOOKMARK":
                    continue
                name = event.object["metadata"]["name"]
                if event.type == "DELETED":
                    self._pods.pop(name, None)
                    self.place_again()
                else:
                    self._pods[name] = event.object
                    self._see(event.object)
                self.most_gpus = max(self.most_gpus, self._held())

    def _see(self, pod: Json) -> None:
        meta, uid = pod["metadata"], pod["metadata"]["uid"]
        if meta.get("deletionTimestamp"):
            self._once(f"end {uid}", self._end(meta["name"]))
        elif pod["spec"].get("nodeName"):
            self._once(f"start {uid}", self._ready(meta["name"], pod))
        elif self.gpus is None or self._held() + _gpus(pod) <= self.gpus:
            pod["spec"]["nodeName"] = "n1"  # held from here on
            self._once(f"bind {uid}", self._bind(meta["name"]))
        else:
            self._once(f"refuse {uid}", self._refuse(meta["name"]))

    def _once(self, key: str, work: "asyncio.coroutines.Coroutine[None, None, None]") -> None:
        if key in self._begun:
            work.close()
            return
        self._begun.add(key)
        self._spawn(work)

    def _spawn(self, work: "asyncio.coroutines.Coroutine[None, None, None]") -> None:
        task = asyncio.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    def _held(self) -> int:
        return sum(_gpus(pod) for pod in self._pods.values() if pod["spec"].get("nodeName"))

    async def _bind(self, name: str) -> None:
        body = {"metadata": {"name": name}, "target": {"kind": "Node", "name": "n1"}}
        await self._try("POST", f"{self._path}/{name}/binding", body)

    async def _ready(self, name: str, pod: Json) -> None:
        await asyncio.sleep(self.start_seconds)
        now = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())
        containers = [
            {"name": c["name"], "image": c["image"], "imageID": c["image"], "ready": True,
             "restartCount": 0, "state": {"running": {"startedAt": now}}}
            for c in pod["spec"]["containers"]
        ]  # fmt: skip
        await self._status(name, {
            "phase": "Running", "podIP": self._address(pod), "containerStatuses": containers,
            "conditions": [{"type": "Ready", "status": "True", "lastTransitionTime": now}],
        })  # fmt: skip

    def _address(self, pod: Json) -> str:
        if not self.has_addresses:
            return "127.0.0.1"
        number = len(self.addresses) + 1
        address = f"127.{number // 62500 + 1}.{number // 250 % 250}.{number % 250 + 1}"
        self.addresses[address] = pod
        return address

    async def _refuse(self, name: str) -> None:
        message = "0/1 nodes are available: 1 Insufficient nvidia.com/gpu."
        condition = {"type": "PodScheduled", "status": "False", "reason": "Unschedulable"}
        await self._status(name, {"conditions": [condition | {"message": message}]})

    async def _end(self, name: str) -> None:
        await asyncio.sleep(self.drain_seconds)
        await self._try("DELETE", f"{self._path}/{name}", {"gracePeriodSeconds": 0})

    async def _status(self, name: str, status: Json) -> None:
        await self._try("PATCH", f"{self._path}/{name}/status", {"status": status})

    async def _try(self, method: str, path: str, body: Json) -> None:
        ways = {"POST": self._api.create, "PATCH": self._api.patch, "DELETE": self._api.delete}
        while True:
            try:
                await ways[method](path, body)
            except ApiAway:
                await asyncio.sleep(0.1)
            except ApiRefused as error:
                if error.status not in (404, 409):
                    raise
                return
            else:
                return


def _gpus(pod: Json) -> int:
    containers = pod["spec"]["containers"]
    return sum(int((c.get("resources") or {}).get("limits", {}).get(_GPU, 0)) for c in containers)
