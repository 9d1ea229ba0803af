"""Who serves in a fleet of servers that register nowhere: asked one by one, at their addresses."""

import asyncio
import json
from collections.abc import Sequence
from pathlib import Path

import aiohttp

from connectors.circus.client import CircusClient, SupervisorAway
from connectors.circus.spec import DeploymentSpec
from connectors.replicas import replica_role
from planner.errors import MetricsUnavailable
from planner.ports import Instance, InstanceState

_SCHEMA_VERSION = "1"


class ProbedRegistry:
    """The replicas of *spec* that answer, or are on their way out; the ready ones are in *path*.

    That file is for whoever sends requests. It is replaced in one step whenever they change.
    """

    def __init__(self, spec: DeploymentSpec, *, path: Path | None, timeout: float) -> None:
        self._spec = spec
        self._path = path
        self._timeout = aiohttp.ClientTimeout(total=timeout)
        self._client = CircusClient(spec.endpoint)
        self._told: str | None = None

    async def instances(self) -> Sequence[Instance]:
        """Return who serves; raises MetricsUnavailable without the supervisor."""
        try:
            watched = await self._client.names()
            living = {child.name for child in self._client.children()}
        except SupervisorAway as error:
            raise MetricsUnavailable(
                str(error), hint="planner stop, then start it again"
            ) from error
        names = sorted(name for name in watched | living if replica_role(name))
        async with aiohttp.ClientSession(timeout=self._timeout) as session:
            ready = await asyncio.gather(*(self._answers(session, name) for name in names))
        found = [
            self._instance(name, is_watched=name in watched)
            for name, answers in zip(names, ready, strict=True)
            if answers
        ]
        self._tell(found)
        return found

    async def frontends(self) -> Sequence[str]:
        """Return none: who sends requests to these servers is not known."""
        return []

    def close(self) -> None:
        """Release the sockets; the file stays, and so do the servers in it."""
        self._client.close()

    def _instance(self, name: str, *, is_watched: bool) -> Instance:
        role = replica_role(name)
        assert role is not None
        return Instance(
            name=name,
            role=role,
            state=InstanceState.READY if is_watched else InstanceState.DRAINING,
            metrics_url=self._spec.roles[role].url(name),
        )

    async def _answers(self, session: aiohttp.ClientSession, name: str) -> bool:
        role = replica_role(name)
        if role is None or role not in self._spec.roles:
            return False
        spec = self._spec.roles[role]
        try:
            async with session.get(f"{spec.url(name)}{spec.ready_path}") as answer:
                return answer.status == 200
        except (aiohttp.ClientError, TimeoutError, OSError):
            return False

    def _tell(self, instances: Sequence[Instance]) -> None:
        if self._path is None:
            return
        ready = [one for one in instances if one.state is InstanceState.READY]
        servers = {
            role.value: [one.metrics_url for one in ready if one.role is role]
            for role in self._spec.roles
        }
        text = json.dumps({"schema_version": _SCHEMA_VERSION, "servers": servers}, indent=2)
        if text != self._told:
            new = self._path.with_suffix(".new")
            new.write_text(f"{text}\n")
            new.replace(self._path)
            self._told = text
