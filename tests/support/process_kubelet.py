"""A kubelet that starts the containers of pods as processes, probes them, and lets them end."""

import asyncio
import re
from pathlib import Path
from typing import Any

import aiohttp
from containers import Container
from dockerfile import IMAGES, words
from fake_cluster.kubelet import FakeKubelet

from connectors.kubernetes.api import Api, Json

_LOOK_SECONDS = 0.1
_TIMEOUT = aiohttp.ClientTimeout(total=1.0)


class ProcessKubelet(FakeKubelet):
    """Runs the pods of *namespace* at loopback addresses, those in *hosts* at the ones given.

    What they write is below *folder*; *env* is what the cluster puts into every container.
    """

    def __init__(
        self, api: Api, namespace: str, *, folder: Path, hosts: dict[str, str], env: dict[str, str]
    ) -> None:
        super().__init__(api, namespace)
        self._cluster = api
        self._namespace = namespace
        self._folder = folder
        self._hosts = hosts
        self._env = env
        network = next(iter(hosts.values())).rpartition(".")[0]
        self._free = (f"{network}.{number}" for number in range(100, 250))
        self.running: dict[str, Container] = {}
        self.exits: dict[str, int] = {}
        """How the pods ended that were told to."""

    async def close(self) -> None:
        await super().close()
        for one in self.running.values():
            await one.kill()

    async def _ready(self, name: str, pod: Json) -> None:
        (spec,) = pod["spec"]["containers"]
        address = self._hosts.get(name) or next(self._free)
        known = await self._variables(spec, {"metadata.name": name, "status.podIP": address})
        one = Container(
            name=name,
            command=_command(spec, known),
            address=address,
            hosts=self._hosts,
            folders=self._folders(name, spec),
            log=self._folder / f"{name}.log",
            env=known | self._env,
        )
        self.running[name] = one
        await self._status(name, {"phase": "Running", "podIP": address})
        await one.start()
        was_ready = False
        while True:
            is_ready = await _answers(spec["readinessProbe"], spec, address)
            if is_ready != was_ready:
                condition = {"type": "Ready", "status": str(is_ready)}
                await self._status(name, {"conditions": [condition]})
                was_ready = is_ready
            if one.process is not None and one.process.returncode is not None:
                if name in self.exits:
                    return
                await one.start()  # as after a crash
            await asyncio.sleep(_LOOK_SECONDS)

    async def _end(self, name: str) -> None:
        self.exits[name] = -1
        if name in self.running:
            self.exits[name] = await self.running[name].stop()
        await super()._end(name)

    async def _variables(self, spec: Json, of_pod: dict[str, str]) -> dict[str, str]:
        found: dict[str, str] = {}
        for source in spec.get("envFrom", ()):
            name = source["configMapRef"]["name"]
            path = f"/api/v1/namespaces/{self._namespace}/configmaps/{name}"
            found |= (await self._cluster.get(path))["data"]
        for one in spec.get("env", ()):
            field = one.get("valueFrom", {}).get("fieldRef", {}).get("fieldPath")
            found[one["name"]] = of_pod[field] if field else one["value"]
        return found

    def _folders(self, name: str, spec: Json) -> dict[str, Path]:
        paths = [one["mountPath"] for one in spec["volumeMounts"] if one["mountPath"] != "/tmp"]
        folders = {path: self._folder / f"{name}{path.replace('/', '-')}" for path in paths}
        for folder in folders.values():
            folder.mkdir(exist_ok=True)
        return folders


def _command(spec: Json, known: dict[str, str]) -> list[str]:
    entry = spec.get("command") or words(IMAGES / "Dockerfile", "ENTRYPOINT")
    return [re.sub(r"\$\((\w+)\)", lambda m: known[m[1]], word) for word in (*entry, *spec["args"])]


async def _answers(probe: Json, spec: Json, address: str) -> bool:
    told: Any = probe["httpGet"]
    (port,) = [one["containerPort"] for one in spec["ports"] if one["name"] == told["port"]]
    url = f"http://{address}:{port}{told['path']}"
    try:
        async with aiohttp.ClientSession(timeout=_TIMEOUT) as session, session.get(url) as page:
            return page.status < 400
    except (aiohttp.ClientError, TimeoutError, OSError):
        return False
