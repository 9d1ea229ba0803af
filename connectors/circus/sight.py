"""One look at a local deployment, put together from circus, the system and discovery."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from connectors.circus.processes import Child
from connectors.replicas import Replica, replica_role
from planner.core.observation import Replicas
from planner.core.role import Role
from planner.ports import Instance, InstanceState


@dataclass(frozen=True, slots=True, kw_only=True)
class Sight:
    """Watchers, living processes and registrations, by name; *watched* holds replicas only.

    A replica that is watched serves or will serve: whatever happens to its process, circus starts
    it again. One that is no longer watched but still lives, or still says so, is draining.
    """

    watched: frozenset[str]
    children: Sequence[Child]
    registered: Mapping[str, Instance]

    def replicas(self, role: Role) -> list[Replica]:
        """Return the replicas of *role* that serve or will serve."""
        return [self._replica(name) for name in self.watched if replica_role(name) is role]

    def count(self, role: Role) -> Replicas:
        """Return how many replicas *role* has in each state."""
        current = self.replicas(role)
        ready = sum(replica.is_ready for replica in current)
        draining = sum(replica_role(name) is role for name in self._draining)
        return Replicas(ready=ready, starting=len(current) - ready, draining=draining)

    @property
    def taken(self) -> set[str]:
        """Names that a new replica must not get, however little is left of their holder."""
        return {*self.watched, *self._living, *self.registered}

    @property
    def _living(self) -> set[str]:
        return {child.name for child in self.children}

    @property
    def _draining(self) -> set[str]:
        leaving = {n for n, i in self.registered.items() if i.state is InstanceState.DRAINING}
        return (self._living | leaving) - self.watched

    def _replica(self, name: str) -> Replica:
        instance = self.registered.get(name)
        if instance is None or instance.state is not InstanceState.READY:
            return Replica(name=name, is_ready=False)
        return Replica(name=name, is_ready=True, in_flight=instance.in_flight)


def by_name(instances: Sequence[Instance]) -> Mapping[str, Instance]:
    """Return *instances* by name; where a restarted replica has two, the one that is ready."""
    ordered = sorted(instances, key=lambda instance: instance.state is InstanceState.READY)
    return {instance.name: instance for instance in ordered}
