"""Scales a local deployment: one circus watcher a replica, so that the victim can be chosen.

What exists is read from circus, the operating system and discovery every time; nothing is kept in
a file beside them that could disagree.
"""

import asyncio
import logging
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

from connectors.circus.client import CircusClient, SupervisorAway, SupervisorRefused
from connectors.circus.drain import AtOnce, Departure
from connectors.circus.gpus import held_gpus, take_gpus
from connectors.circus.processes import DEVICES, Child
from connectors.circus.sight import Sight, by_name
from connectors.circus.spec import DeploymentSpec, RoleSpec
from connectors.progress import Progress
from connectors.replicas import free_names, replica_role, victims
from connectors.request import check_desired, differences
from planner.core.observation import Replicas
from planner.core.role import Role
from planner.errors import MetricsUnavailable, ScaleRejected
from planner.ports import Outcome, Registry, ScaleResult

log = logging.getLogger(__name__)


class CircusConnector:
    """Moves the replicas of the deployment *spec*; who is ready is read from *registry*.

    They leave by *departure*, or are asked to at once.
    """

    def __init__(
        self, spec: DeploymentSpec, registry: Registry, *, departure: Departure | None = None
    ) -> None:
        self._spec = spec
        self._registry = registry
        self._client = CircusClient(spec.endpoint)
        self._departure = departure or AtOnce(drain_seconds=spec.drain_seconds)
        self._scaling = asyncio.Lock()
        self._leaving: dict[int, asyncio.Task[None]] = {}

    async def fleet(self) -> Mapping[Role, Replicas]:
        """Return the replicas that exist now, by role; raises MetricsUnavailable when unknown."""
        return self._count(await self._look())

    async def scale(self, desired: Mapping[Role, int]) -> ScaleResult:
        """Start or begin to drain replicas until each role has as many as *desired* says.

        Raises ScaleRejected when it cannot do all of it; the message says what it did do.
        """
        check_desired(desired, self._spec.roles)
        async with self._scaling:
            try:
                sight = await self._look()
            except MetricsUnavailable as error:
                raise ScaleRejected(f"{error}; nothing changed", hint=error.hint) from error
            changes = differences(desired, self._count(sight))
            if not changes:
                return ScaleResult(outcome=Outcome.UNCHANGED)
            return await self._apply(changes, sight)

    async def close(self) -> None:
        """Release connections; replicas stay as they are, and draining ones end on their own."""
        tasks = list(self._leaving.values())
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        self._client.close()

    def _count(self, sight: Sight) -> Mapping[Role, Replicas]:
        return {role: sight.count(role) for role in self._spec.roles}

    async def _look(self) -> Sight:
        registered = by_name(await self._registry.instances())
        try:
            watched = await self._client.names()
            living = self._client.children()
        except SupervisorAway as error:
            raise MetricsUnavailable(str(error), hint="planner status") from error
        replicas = [child for child in living if replica_role(child.name)]
        if self._departure.resumes:
            self._resume([child for child in replicas if child.name not in watched])
        return Sight(watched=_replicas(watched), children=replicas, registered=registered)

    def _resume(self, leaving: Iterable[Child]) -> None:
        for child in leaving:
            if child.pid not in self._leaving:
                self._see_out(child.name, child.pid)

    async def _apply(self, changes: Mapping[Role, int], sight: Sight) -> ScaleResult:
        progress = Progress()
        try:
            for role, by in changes.items():  # shrink first: what it frees may be needed
                await self._shrink(role, -by, sight, progress)
            for role, by in changes.items():
                await self._grow(role, by, sight, progress)
        except (SupervisorAway, SupervisorRefused) as error:
            progress.refused.append(str(error))
        return progress.result()

    async def _shrink(self, role: Role, by: int, sight: Sight, progress: Progress) -> None:
        for name in victims(sight.replicas(role), max(0, by)):
            pids = await self._departure.begin(self._client, name)
            progress.draining.append(name)
            log.info("replica draining name=%s", name)
            for pid in pids:
                self._see_out(name, pid)

    def _see_out(self, name: str, pid: int) -> None:
        task = asyncio.create_task(self._finish(name, pid))
        self._leaving[pid] = task
        task.add_done_callback(lambda _: self._leaving.pop(pid, None))

    async def _finish(self, name: str, pid: int) -> None:
        if await self._departure.finish(name, pid):
            log.info("replica gone name=%s", name)
        else:
            log.warning("replica killed name=%s drain_seconds=%g", name, self._spec.drain_seconds)

    async def _grow(self, role: Role, by: int, sight: Sight, progress: Progress) -> None:
        if by <= 0:
            return
        spec = self._spec.roles[role]
        free = await self._free_gpus(sight) if spec.gpus else []
        for name in free_names(role, sight.taken, by):
            gpus = take_gpus(free, spec.gpus)
            if gpus is None:
                progress.refused.append(
                    f"{name} not started: needs {spec.gpus} GPUs,"
                    f" {len(free)} of {len(self._spec.gpus)} are free"
                )
                continue
            await self._start(name, spec, gpus)
            progress.started.append(name)

    async def _free_gpus(self, sight: Sight) -> list[str]:
        watched = _replicas(await self._client.names())  # those started a moment ago among them
        held = await held_gpus(self._client, watched, sight.children)
        return [gpu for gpu in self._spec.gpus if gpu not in held]

    async def _start(self, name: str, spec: RoleSpec, gpus: Sequence[str]) -> None:
        env = {**spec.env, DEVICES: ",".join(gpus)} if gpus else spec.env
        path = Path(self._spec.log_directory) / f"{name}.log"
        command = spec.command_for(name, parent=self._client.pid())
        await self._client.add(name, command, log=path, env=env)
        log.info("replica started name=%s gpus=%s", name, ",".join(gpus) or "-")


def _replicas(names: Iterable[str]) -> frozenset[str]:
    return frozenset(name for name in names if replica_role(name))
