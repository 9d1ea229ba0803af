"""A fleet and a registry in memory, for tests of what stands on these ports."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace

from connectors.replicas import Replica, free_names, victims
from connectors.request import check_desired, differences
from planner.core.observation import Replicas
from planner.core.role import Role
from planner.errors import MetricsUnavailable, ScaleRejected
from planner.ports import Instance, Outcome, ScaleResult


@dataclass(frozen=True, slots=True, kw_only=True)
class _Member:
    role: Role
    ready_at: float
    gone_at: float | None = None


class FakeConnector:
    """A fleet in memory; passes the same contract suite as the real connectors.

    A replica is ready *start_seconds* after it was asked for and gone *drain_seconds* after it was
    asked to leave, on *clock*. At most *capacity* replicas fit, draining ones included.
    """

    def __init__(
        self,
        fleet: Mapping[Role, int],
        *,
        clock: Callable[[], float] = lambda: 0.0,
        start_seconds: float = 0.0,
        drain_seconds: float = 0.0,
        capacity: int | None = None,
    ) -> None:
        self._clock = clock
        self.start_seconds = start_seconds
        self.drain_seconds = drain_seconds
        self._capacity = capacity
        self._roles = frozenset(fleet)
        self._members: dict[str, _Member] = {
            name: _Member(role=role, ready_at=clock())
            for role, count in fleet.items()
            for name in free_names(role, (), count)
        }
        self.in_flight: dict[str, int] = {}
        """Requests by replica; tests set it."""
        self.calls: list[Mapping[Role, int]] = []
        """Every `scale` that was asked for, rejected ones too."""
        self.is_away = False
        """Set by tests: nothing is known about the fleet."""

    async def fleet(self) -> Mapping[Role, Replicas]:
        """Return the replicas by role; raises MetricsUnavailable while *is_away*."""
        if self.is_away:
            raise MetricsUnavailable("the fleet cannot be read")
        return {role: self._count(role) for role in Role if role in self._roles}

    async def scale(self, desired: Mapping[Role, int]) -> ScaleResult:
        """Move the fleet, all of it or nothing; raises ScaleRejected beyond the capacity."""
        self.calls.append(dict(desired))
        check_desired(desired, self._roles)
        changes = differences(desired, await self.fleet())
        if not changes:
            return ScaleResult(outcome=Outcome.UNCHANGED)
        self._check_capacity(changes)
        draining = [name for role, by in changes.items() for name in self._drain(role, -by)]
        started = [name for role, by in changes.items() for name in self._start(role, by)]
        return ScaleResult(
            outcome=Outcome.APPLIED, started=tuple(started), draining=tuple(draining)
        )

    async def close(self) -> None:
        """Release nothing: there is nothing to release."""

    def _living(self) -> Mapping[str, _Member]:
        now = self._clock()
        gone = [n for n, m in self._members.items() if m.gone_at is not None and m.gone_at <= now]
        for name in gone:
            del self._members[name]
        return self._members

    def _count(self, role: Role) -> Replicas:
        now = self._clock()
        members = [member for member in self._living().values() if member.role is role]
        staying = [member for member in members if member.gone_at is None]
        ready = sum(member.ready_at <= now for member in staying)
        return Replicas(
            ready=ready, starting=len(staying) - ready, draining=len(members) - len(staying)
        )

    def _check_capacity(self, changes: Mapping[Role, int]) -> None:
        wanted = len(self._living()) + sum(by for by in changes.values() if by > 0)
        if self._capacity is not None and wanted > self._capacity:
            raise ScaleRejected(
                f"{wanted} replicas do not fit, the limit is {self._capacity}; nothing changed"
            )

    def _start(self, role: Role, count: int) -> Sequence[str]:
        names = free_names(role, self._living(), max(0, count))
        ready_at = self._clock() + self.start_seconds
        self._members |= {name: _Member(role=role, ready_at=ready_at) for name in names}
        return names

    def _drain(self, role: Role, count: int) -> Sequence[str]:
        now = self._clock()
        staying = [
            Replica(name=name, is_ready=m.ready_at <= now, in_flight=self.in_flight.get(name))
            for name, m in self._living().items()
            if m.role is role and m.gone_at is None
        ]
        names = victims(staying, max(0, count))
        gone_at = now + self.drain_seconds
        self._members |= {name: replace(self._members[name], gone_at=gone_at) for name in names}
        return names


class FakeRegistry:
    """A registry in memory: tests put instances in and take them out."""

    def __init__(self, *instances: Instance, frontends: Sequence[str] = ()) -> None:
        self.registered: dict[str, Instance] = {instance.name: instance for instance in instances}
        self.frontend_urls = list(frontends)
        self.is_away = False
        """Set by tests: discovery does not answer."""

    async def instances(self) -> Sequence[Instance]:
        """Return what tests put in; raises MetricsUnavailable while *is_away*."""
        if self.is_away:
            raise MetricsUnavailable("discovery does not answer")
        return list(self.registered.values())

    async def frontends(self) -> Sequence[str]:
        """Return the frontends' URLs."""
        return list(self.frontend_urls)
