"""One look at a role on a cluster: what its workload wants, put beside the pods that exist."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from connectors.kubernetes.objects import Member, Workload
from connectors.kubernetes.waiting import Stuck
from connectors.replicas import replica_name, victims
from planner.core.observation import Replicas

_NONE = Stuck()


@dataclass(frozen=True, slots=True, kw_only=True)
class Sight:
    """A workload and its replicas, of which those *stuck* have been awaited for too long.

    The workload's number is the truth about what will be; pods only follow it. A replica that is
    told to drain before it is let go is still in that number, but no longer counts as one.
    """

    workload: Workload
    members: Sequence[Member]
    stuck: Stuck = _NONE

    @property
    def draining(self) -> Sequence[Member]:
        """Replicas told to drain that the workload still wants."""
        told = [one for one in self._staying if one.drains_since is not None]
        # The workload has let go of so many, and those told to drain are the first of them.
        released = max(0, len(self._staying) - self.workload.replicas)
        return told[released:]

    @property
    def wanted(self) -> int:
        """Replicas that serve or will serve, if all of them come."""
        return max(0, self.workload.replicas - len(self.draining))

    @property
    def replicas(self) -> Replicas:
        """How many there are in each state.

        Those that are stuck are not on their way; if they hold GPUs it is until they are gone.
        """
        ready = min(self.wanted, sum(one.is_ready for one in self._serving))
        kept = min(self.wanted, len(self._serving))
        return Replicas(
            ready=ready,
            starting=max(0, self.wanted - ready - self.stuck.total),
            draining=len(self.members) - kept + min(self.stuck.placed, kept - ready),
        )

    @property
    def claimed(self) -> int:
        """Replicas that hold GPUs or may, any moment, those that are stuck among them."""
        return self.replicas.provisioned + self.stuck.nowhere

    @property
    def gpus(self) -> int | None:
        """GPUs of one replica; None where nobody tells."""
        if self.workload.gpus is not None:
            return self.workload.gpus
        return max((one.gpus for one in self.members), default=None)

    def victims(self, count: int, in_flight: Mapping[str, int | None]) -> Sequence[Member]:
        """Return the *count* replicas that are to leave, as far as they exist."""
        if self.workload.kind.is_ordered:
            return sorted(self._serving, key=lambda one: -one.ordinal)[:count]
        # A pod without a node is the first that a ReplicaSet deletes; one that fails goes next.
        serving = sorted(self._serving, key=lambda one: (not one.unplaced, not one.failing))
        by_name = {one.name: one for one in serving}
        absent = max(0, self.wanted - len(by_name))  # leave first, and need not be told
        names = victims(
            (one.as_replica(in_flight) for one in by_name.values()), max(0, count - absent)
        )
        return [by_name[name] for name in names]

    def numbered(self, count: int, *, before: int) -> Sequence[str]:
        """Return names of *count* replicas that have none in the cluster yet: their numbers."""
        return [replica_name(self.workload.role, n) for n in range(before - count, before)]

    @property
    def _staying(self) -> Sequence[Member]:
        return [one for one in self.members if not one.is_leaving]

    @property
    def _serving(self) -> Sequence[Member]:
        return [one for one in self._staying if one.drains_since is None]
