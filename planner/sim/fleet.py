"""Replicas of every role and what they cost: started, ready, draining, gone."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import partial

from planner.core.observation import Replicas
from planner.core.role import Role
from planner.ports import InstanceState
from planner.sim.engine import SimulatedEngine
from planner.sim.timeline import Timeline


@dataclass(frozen=True, slots=True, kw_only=True)
class FleetChange:
    """The fleet as it was from *at* on, in seconds of the virtual clock."""

    at: float
    fleet: Mapping[Role, Replicas]


@dataclass(slots=True, eq=False)
class _Replica:
    number: int
    engine: SimulatedEngine
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
    """Starts replicas cold and drains them, with the semantics of a connector's `scale`.

    *build* makes the engine of a new replica; *on_ready* is told of each that begins to serve.
    """

    def __init__(
        self,
        roles: tuple[Role, ...],
        timeline: Timeline,
        *,
        cold_start_seconds: float,
        build: Callable[[Role], SimulatedEngine],
        on_ready: Callable[[Role, SimulatedEngine], None],
    ) -> None:
        self.changes: list[FleetChange] = []
        self.actions: list[float] = []
        """How often a role's number was changed."""
        self._timeline = timeline
        self._cold_start_seconds = cold_start_seconds
        self._build = build
        self._on_ready = on_ready
        self._pools = {role: _Pool() for role in roles}
        self._serving: dict[Role, list[SimulatedEngine]] = {role: [] for role in roles}

    def begin(self, initial: Mapping[Role, int]) -> None:
        """Put the *initial* replicas there, ready."""
        for role, count in initial.items():
            for _ in range(count):
                self._become_ready(role, self._add(role))
        self._record()

    def serving(self, role: Role) -> list[SimulatedEngine]:
        """Return the engines of *role* that take new requests, oldest first."""
        return self._serving[role]

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

    def _add(self, role: Role) -> _Replica:
        pool = self._pools[role]
        pool.started += 1
        replica = _Replica(pool.started, self._build(role))
        pool.replicas.append(replica)
        return replica

    def _start(self, role: Role) -> None:
        replica = self._add(role)
        ready_at = self._timeline.now + self._cold_start_seconds
        self._timeline.at(ready_at, partial(self._finish_start, role), replica)

    def _finish_start(self, role: Role, replica: _Replica) -> None:
        if replica in self._pools[role].replicas:  # it may have been cancelled
            self._become_ready(role, replica)
            self._record()

    def _become_ready(self, role: Role, replica: _Replica) -> None:
        replica.state = InstanceState.READY
        replica.engine.on_empty = partial(self._retire, role, replica)
        self._serving[role].append(replica.engine)
        self._on_ready(role, replica.engine)

    def _remove_one(self, role: Role) -> None:
        pool = self._pools[role]
        starting = pool.inside(None)
        if starting:
            pool.replicas.remove(starting[-1])
            return
        idlest = min(
            pool.inside(InstanceState.READY), key=lambda r: (r.engine.in_flight, -r.number)
        )
        idlest.state = InstanceState.DRAINING
        idlest.engine.is_closing = True
        self._serving[role].remove(idlest.engine)
        if not idlest.engine.in_flight:
            pool.replicas.remove(idlest)

    def _retire(self, role: Role, replica: _Replica) -> None:
        """Let a draining replica go once its last request has left."""
        if replica.state is InstanceState.DRAINING:
            self._pools[role].replicas.remove(replica)
            self._record()

    def _record(self) -> None:
        self.changes.append(FleetChange(at=self._timeline.now, fleet=self.counts()))
