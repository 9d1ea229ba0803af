"""Sees every change of a namespace's workloads and pods, and asks nobody else about them."""

import asyncio
import time
from collections import Counter, defaultdict
from collections.abc import Callable, Mapping
from contextlib import aclosing, suppress
from dataclasses import dataclass

from connectors.kubernetes.api import Api, Json
from connectors.kubernetes.kinds import DEPLOYMENTS, PODS, Kind

Key = tuple[str, str]
"""Deployment and role."""


@dataclass(frozen=True, slots=True)
class Change:
    """The number of *key* became *after* at *at*, in seconds of the monotonic clock."""

    at: float
    key: Key
    before: int
    after: int


class Witness:
    """Watches *namespace* from `start` to `close`; a watch that ends early fails it."""

    def __init__(self, api: Api, namespace: str, *, clock: Callable[[], float] = time.monotonic):
        self._api = api
        self._namespace = namespace
        self._clock = clock
        self._tasks: list[asyncio.Task[None]] = []
        self._pods: dict[str, str] = {}
        self.replicas: dict[Key, int] = {}
        self.changes: list[Change] = []
        self.most_wanted: Counter[str] = Counter()
        """The largest sum of all roles' numbers, by deployment."""
        self.most_pods: Counter[str] = Counter()
        """Most pods that were there at once, those that finish among them, by deployment."""

    async def start(self) -> None:
        for kind, see in ((DEPLOYMENTS, self._see_workload), (PODS, self._see_pod)):
            path = kind.path(self._namespace)
            listed = await self._api.get(path)
            for item in listed["items"]:
                see("ADDED", item)
            follow = self._follow(kind, listed["metadata"]["resourceVersion"], see)
            self._tasks.append(asyncio.create_task(follow))

    async def close(self) -> None:
        """Stop; raises what ended a watch before."""
        for task in self._tasks:
            task.cancel()
        for task in self._tasks:
            with suppress(asyncio.CancelledError):
                await task

    def wanted(self, deployment: str) -> Mapping[str, int]:
        return {role: n for (name, role), n in self.replicas.items() if name == deployment}

    async def _follow(self, kind: Kind, version: str, see: Callable[[str, Json], None]) -> None:
        events = self._api.watch(kind.path(self._namespace), version=version, seconds=1200)
        async with aclosing(events):
            async for event in events:
                if event.type != "BOOKMARK":
                    see(event.type, event.object)
        raise AssertionError(f"the watch of {kind} ended")

    def _see_workload(self, _: str, item: Json) -> None:
        labels = item["metadata"]["labels"]
        key, after = (
            (labels["planner/deployment"], labels["planner/role"]),
            item["spec"]["replicas"],
        )
        before = self.replicas.get(key, after)
        self.replicas[key] = after
        if before != after:
            self.changes.append(Change(self._clock(), key, before, after))
        total = sum(self.wanted(key[0]).values())
        self.most_wanted[key[0]] = max(self.most_wanted[key[0]], total)

    def _see_pod(self, kind: str, item: Json) -> None:
        name = item["metadata"]["name"]
        if kind == "DELETED":
            self._pods.pop(name, None)
            return
        deployment = item["metadata"]["labels"]["planner/deployment"]
        self._pods[name] = deployment
        here: dict[str, int] = defaultdict(int)
        for one in self._pods.values():
            here[one] += 1
        self.most_pods[deployment] = max(self.most_pods[deployment], here[deployment])
