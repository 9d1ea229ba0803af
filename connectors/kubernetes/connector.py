"""Scales a deployment on Kubernetes: what watches know of it is compared, then written.

Nothing is kept beside the cluster: the number is the workload's, and who is told to drain is
noted at the pod.
"""

import asyncio
import logging
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from connectors.kubernetes.cluster import Cluster
from connectors.kubernetes.departure import LEAVES_FIRST, STAYS, Departures, Drain
from connectors.kubernetes.look import Lookout, Sights
from connectors.kubernetes.objects import Member
from connectors.kubernetes.sight import Sight
from connectors.kubernetes.waiting import Waiting
from connectors.kubernetes.writes import Writer
from connectors.progress import Progress
from connectors.request import check_desired
from planner.core.observation import Replicas
from planner.core.role import Role
from planner.errors import MetricsUnavailable, ScaleRejected
from planner.ports import Outcome, ScaleResult

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class Manner:
    """How a deployment is scaled.

    Its replicas hold *max_gpus* at most, or what the namespace's quota says. Those that no node
    takes for *pending_seconds* are not waited for any longer. Without a *drain* a replica is let
    go at once, and finishes by itself within its pod's grace period.
    """

    max_gpus: int | None = None
    pending_seconds: float = 300.0
    drain: Drain | None = None


class KubernetesConnector:
    """Moves the replicas of *deployment* in *cluster*, which has been started, while *may_act*.

    *in_flight* tells the requests inside a pod by its name; *clock* never goes back, in seconds.
    """

    def __init__(
        self,
        cluster: Cluster,
        deployment: str,
        *,
        manner: Manner | None = None,
        in_flight: Callable[[], Mapping[str, int]] = dict,
        may_act: Callable[[], bool] = lambda: True,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        manner = manner or Manner()
        self._cluster = cluster
        self._in_flight = in_flight
        self._max_gpus = manner.max_gpus
        self._may_act = may_act
        self._lookout = Lookout(
            cluster, deployment, waiting=Waiting(seconds=manner.pending_seconds, clock=clock)
        )
        self._writer = Writer(cluster, may_act=may_act)
        # Where the cluster picks who leaves, nobody can be told to drain before.
        drain = manner.drain if cluster.honours_deletion_cost else None
        self._departures = Departures(
            self._writer, drain=drain, in_flight=in_flight, release=self._release
        )
        self._scaling = asyncio.Lock()

    async def fleet(self) -> Mapping[Role, Replicas]:
        """Return the replicas that exist now, by role; raises MetricsUnavailable when unknown."""
        sights = self._lookout.look()
        self._lookout.tell(sights)
        if self._may_act():
            for role, sight in sights.items():
                for member in sight.draining:
                    self._departures.resume(role, member)
        return {role: sights[role].replicas for role in Role if role in sights}

    async def scale(self, desired: Mapping[Role, int]) -> ScaleResult:
        """Change each role's number to that of *desired*, shrinking before growing.

        Raises ScaleRejected when it cannot do all of it, when somebody else changed the number
        since it was last told, and for replicas that were asked for and do not come.
        """
        async with self._scaling:
            try:
                sights = self._lookout.look()
            except MetricsUnavailable as error:
                raise ScaleRejected(f"{error}; nothing changed", hint=error.hint) from error
            check_desired(desired, sights)
            changes = {
                role: n - sights[role].wanted for role, n in desired.items() if role in sights
            }
            for role, by in changes.items():
                if by:
                    self._lookout.check_sole(sights[role])
            progress = await self._applied(changes, sights)
            if not (any(changes.values()) or progress.refused):
                return ScaleResult(outcome=Outcome.UNCHANGED)
            return progress.result()

    async def close(self) -> None:
        """Stop seeing replicas out; whoever looks next goes on. The cluster is its owner's."""
        await self._departures.close()

    async def _applied(self, changes: Mapping[Role, int], sights: Sights) -> Progress:
        progress = Progress()
        try:
            for role, by in changes.items():  # what is let go is counted until it is gone
                if by < 0:
                    await self._shrink(sights[role], -by, progress)
            free = self._free_gpus(sights)
            for role, by in changes.items():
                if by > 0:
                    free = await self._grow(sights[role], by, free, progress)
        except ScaleRejected as error:
            progress.refused.append(str(error))
        stuck = [
            sights[role] for role, by in changes.items() if by >= 0 and sights[role].stuck.total
        ]
        progress.refused += map(self._lookout.missing, stuck)
        return progress

    async def _shrink(self, sight: Sight, by: int, progress: Progress) -> None:
        leaving = sight.victims(by, self._in_flight())
        held = [one for one in leaving if self._departures.holds(sight, one)]
        at_once = [one for one in leaving if one not in held]
        if by > len(held):
            await self._let_go(sight, by - len(held), at_once)
            progress.draining += [one.name for one in at_once]
            progress.draining += sight.numbered(by - len(leaving), before=sight.wanted + 1)
        for one in held:
            await self._departures.begin(sight.workload.role, one)
            progress.draining.append(one.name)

    async def _let_go(self, sight: Sight, by: int, leaving: Sequence[Member]) -> None:
        workload = sight.workload
        marked = [] if workload.kind.is_ordered else [m.name for m in leaving if m.is_ready]
        try:
            for pod in marked:
                await self._writer.annotate(pod, LEAVES_FIRST)
            now = await self._writer.scale(workload, -by)
        except ScaleRejected:
            for pod in marked:
                await self._writer.forget(pod, STAYS)
            raise
        self._lookout.wrote(workload.role, now)
        log.info("replicas let go of=%s count=%d", workload, by)

    async def _grow(
        self, sight: Sight, by: int, free: int | None, progress: Progress
    ) -> int | None:
        """Grow by as many of *by* as fit onto *free* GPUs; return how many of those are left."""
        role, width = sight.workload.role, sight.gpus
        fits = _fitting(by, free, width)
        if fits < by:
            each = "an unknown number of" if width is None else width
            progress.refused.append(
                f"{by - fits} {role} not started: {each} GPUs each,"
                f" {max(0, (free or 0) - fits * (width or 0))} of {self._limit} are free"
            )
        if fits:
            now = await self._writer.scale(sight.workload, fits)
            self._lookout.wrote(role, now)
            first = max(sight.wanted, len(sight.members)) + 1
            progress.started += sight.numbered(fits, before=first + fits)
            log.info("replicas asked for of=%s count=%d", sight.workload, fits)
        return None if free is None else free - fits * (width or 0)

    @property
    def _limit(self) -> int | None:
        quota = self._cluster.quota
        if self._max_gpus is not None or quota is None:
            return self._max_gpus
        return quota.gpus

    def _free_gpus(self, sights: Sights) -> int | None:
        if self._limit is None:
            return None
        claimed = sum(sight.claimed * (sight.gpus or 0) for sight in sights.values())
        return self._limit - claimed - self._others_gpus(sights)

    def _others_gpus(self, sights: Sights) -> int:
        """Return how many GPUs of the namespace's quota are held by what is not scaled here."""
        quota = self._cluster.quota
        if self._max_gpus is not None or quota is None:
            return 0
        own = sum(one.gpus for sight in sights.values() for one in sight.members)
        return max(0, quota.used - own)

    async def _release(self, role: Role, name: str) -> bool:
        """Leave the draining *name* out of its role's number; return whether that is done."""
        async with self._scaling:
            try:
                sight = self._lookout.look().get(role)
                if sight is not None and any(one.name == name for one in sight.draining):
                    self._lookout.wrote(role, await self._writer.scale(sight.workload, -1))
            except (MetricsUnavailable, ScaleRejected) as error:
                log.warning("replica not let go name=%s error=%s", name, error)
                return False
            return True


def _fitting(by: int, free: int | None, width: int | None) -> int:
    """Return how many of *by* replicas of *width* GPUs fit; none where nobody tells the width."""
    if free is None or width == 0:
        return by
    return 0 if width is None else min(by, max(0, free) // width)
