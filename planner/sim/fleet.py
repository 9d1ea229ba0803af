"""Replicas of every role and what they cost: started, ready, draining, gone."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial

import numpy as np

from planner.core.observation import Replicas
from planner.core.role import Role
from planner.ports import InstanceState
from planner.sim.deployment import Deployment
from planner.sim.timeline import Timeline


@dataclass(frozen=True, slots=True, kw_only=True)
class FleetChange:
    """The fleet as it was from *at* on, in seconds of the virtual clock."""

    at: float
    fleet: Mapping[Role, Replicas]


@dataclass(slots=True, eq=False)
class _Replica:
    number: int
    engine: int
    state: InstanceState | None = None
    """None while it starts."""


@dataclass(slots=True)
class _Pool:
    """One role's replicas, oldest first."""

    replicas: list[_Replica] = field(default_factory=list)
    started: int = 0

    def inside(self, state: InstanceState | None) -> list[_Replica]:
        return [replica for replica in self.replicas if replica.state is state]

    def counts(self) -> Replicas:
        return Replicas(
            ready=len(self.inside(InstanceState.READY)),
            starting=len(self.inside(None)),
            draining=len(self.inside(InstanceState.DRAINING)),
        )


class Fleet:
    """Starts replicas of *deployment* cold and drains them, as a connector's `scale` does.

    A replica that drains for longer than *drain_timeout_seconds* is killed.
    """

    def __init__(
        self,
        roles: Sequence[Role],
        timeline: Timeline,
        deployment: Deployment,
        *,
        cold_start_seconds: float,
        drain_timeout_seconds: float | None = None,
    ) -> None:
        self.changes: list[FleetChange] = []
        self.actions: list[float] = []
        """How often a role's number was changed."""
        self._timeline = timeline
        self._deployment = deployment
        self._cold_start_seconds = cold_start_seconds
        self._drain_timeout_seconds = drain_timeout_seconds
        self._pools = {role: _Pool() for role in roles}

    def begin(self, initial: Mapping[Role, int]) -> None:
        """Put the *initial* replicas there, ready."""
        for role, count in initial.items():
            for _ in range(count):
                self._become_ready(self._add(role))
        self._record()

    def counts(self) -> dict[Role, Replicas]:
        """Return the replicas by role and state."""
        return {role: pool.counts() for role, pool in self._pools.items()}

    def scale(self, desired: Mapping[Role, int]) -> None:
        """Start or begin to drain replicas until each role in *desired* has that many.

        Roles that shrink go first. Starting replicas are cancelled before ready ones drain,
        the newest first; of the ready ones the idlest goes.
        """
        now = self.counts()
        wanted = {role: desired[role] - now[role].current for role in desired}
        for role, difference in sorted(wanted.items(), key=lambda item: item[1]):
            if difference:
                self.actions.append(self._timeline.now)
            for _ in range(-difference):
                self._remove_one(role)
            for _ in range(difference):
                self._start(role)
        if any(wanted.values()):
            self._record()

    def retire(self, engine: int) -> None:
        """Let the draining replica with this *engine* go: its last request has left."""
        for role, pool in self._pools.items():
            for replica in pool.replicas:
                if replica.engine == engine:
                    self._remove(role, replica)
                    self._record()
                    return

    def fail(self, role: Role, rng: np.random.Generator) -> None:
        """Let one ready replica of *role* die, drawn at random; its requests go elsewhere."""
        ready = self._pools[role].inside(InstanceState.READY)
        if ready:
            self._kill(role, ready[int(rng.integers(len(ready)))])

    def _add(self, role: Role) -> _Replica:
        pool = self._pools[role]
        pool.started += 1
        replica = _Replica(pool.started, self._deployment.add(role))
        pool.replicas.append(replica)
        return replica

    def _start(self, role: Role) -> None:
        replica = self._add(role)
        ready_at = self._timeline.now + self._cold_start_seconds
        self._timeline.at(ready_at, partial(self._finish_start, role), replica)

    def _finish_start(self, role: Role, replica: _Replica) -> None:
        if replica in self._pools[role].replicas:  # it may have been cancelled
            self._become_ready(replica)
            self._record()

    def _become_ready(self, replica: _Replica) -> None:
        replica.state = InstanceState.READY
        self._deployment.open(replica.engine)

    def _remove_one(self, role: Role) -> None:
        pool = self._pools[role]
        starting = pool.inside(None)
        if starting:
            self._remove(role, starting[-1])
            return
        in_flight = self._deployment.in_flight
        ready = pool.inside(InstanceState.READY)
        self._drain(role, min(ready, key=lambda r: (in_flight(r.engine), -r.number)))

    def _drain(self, role: Role, replica: _Replica) -> None:
        replica.state = InstanceState.DRAINING
        self._deployment.close(replica.engine)
        if not self._deployment.in_flight(replica.engine):
            self._remove(role, replica)
        elif self._drain_timeout_seconds is not None:
            latest = self._timeline.now + self._drain_timeout_seconds
            self._timeline.at(latest, partial(self._end_drain, role), replica)

    def _end_drain(self, role: Role, replica: _Replica) -> None:
        if replica in self._pools[role].replicas:
            self._kill(role, replica)

    def _kill(self, role: Role, replica: _Replica) -> None:
        self._deployment.kill(replica.engine)
        self._remove(role, replica)
        self._record()

    def _remove(self, role: Role, replica: _Replica) -> None:
        self._pools[role].replicas.remove(replica)
        self._deployment.remove(replica.engine)

    def _record(self) -> None:
        self.changes.append(FleetChange(at=self._timeline.now, fleet=self.counts()))
