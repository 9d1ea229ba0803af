"""What is written to a cluster: scale subresources, and annotations of pods. Nothing else."""

import asyncio
import contextlib
import logging
from collections.abc import Awaitable, Callable, Mapping
from random import Random

from connectors.kubernetes.api import ApiAway, ApiFault, ApiRefused, Json
from connectors.kubernetes.cluster import Cluster
from connectors.kubernetes.kinds import PODS
from connectors.kubernetes.objects import Workload
from planner.errors import ScaleRejected

_TRIES = 5
_FIRST_WAIT_SECONDS = 0.02

log = logging.getLogger(__name__)


class Writer:
    """Writes to *cluster* while *may_act* says yes, which is asked before every single write."""

    def __init__(
        self,
        cluster: Cluster,
        *,
        may_act: Callable[[], bool],
        rng: Random | None = None,
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
    ) -> None:
        self._cluster = cluster
        self._may_act = may_act
        self._rng = rng or Random()  # noqa: S311 - spreads retries, hides nothing
        self._sleep = sleep

    async def scale(self, workload: Workload, by: int) -> int:
        """Change the replicas of *workload* by *by*; return how many it wants now.

        A conflict is read again: where only its status moved, the change still fits; where
        somebody else set the number it does not. Raises ScaleRejected.
        """
        path = f"{workload.kind.path(self._cluster.namespace, workload.name)}/scale"
        version, replicas = workload.version, workload.replicas + by
        for attempt in range(1, _TRIES + 1):
            self._check()
            body = {"metadata": {"resourceVersion": version}, "spec": {"replicas": replicas}}
            try:
                answer = await self._cluster.api.patch(path, body)
            except ApiRefused as error:
                if not error.is_conflict:
                    raise _rejected(workload, error) from error
                version = await self._read_again(workload, path)
                await self._sleep(_FIRST_WAIT_SECONDS * 2**attempt * self._rng.uniform(0.5, 1.5))
            except ApiFault as error:
                raise _rejected(workload, error) from error
            else:
                self._know(workload, answer)
                return replicas
        raise ScaleRejected(f"{workload}: changed by others {_TRIES} times while it was scaled")

    async def annotate(self, pod: str, annotations: Mapping[str, str | None]) -> bool:
        """Set *annotations* of *pod*, those without a value are removed; return whether it did.

        A pod that is gone needs none. Raises ScaleRejected.
        """
        self._check()
        path = PODS.path(self._cluster.namespace, pod)
        try:
            answer = await self._cluster.api.patch(
                path, {"metadata": {"annotations": dict(annotations)}}
            )
        except ApiRefused as error:
            if error.is_missing:
                return False
            raise ScaleRejected(f"pod {pod} cannot be marked: {error}") from error
        except ApiFault as error:
            raise ScaleRejected(f"pod {pod} cannot be marked: {error}") from error
        self._cluster.amend(PODS, answer)
        return True

    async def forget(self, pod: str, annotations: Mapping[str, str | None]) -> None:
        """Take marks from *pod* again, as far as the API server lets it."""
        with contextlib.suppress(ScaleRejected):
            await self.annotate(pod, annotations)

    def _check(self) -> None:
        if not self._may_act():
            raise ScaleRejected(
                "another planner acts on this deployment", hint="planner run --observe"
            )

    async def _read_again(self, workload: Workload, path: str) -> str:
        """Return the version to try with; raises ScaleRejected if the number is not what it was."""
        try:
            fresh = await self._cluster.api.get(path)
        except ApiFault as error:
            raise _rejected(workload, error) from error
        wants = int((fresh.get("spec") or {}).get("replicas", 0))
        if wants != workload.replicas:
            raise ScaleRejected(
                f"{workload}: somebody else set {wants} replicas where {workload.replicas} were"
            )
        version: str = fresh["metadata"]["resourceVersion"]
        return version

    def _know(self, workload: Workload, answer: Json) -> None:
        item = self._cluster.raw(workload)
        if item is None:
            return
        version = (answer.get("metadata") or {}).get("resourceVersion", workload.version)
        self._cluster.amend(
            workload.kind,
            {
                **item,
                "metadata": {**item["metadata"], "resourceVersion": version},
                "spec": {**item["spec"], "replicas": int(answer["spec"].get("replicas", 0))},
            },
        )


def _rejected(workload: Workload, error: ApiFault) -> ScaleRejected:
    if isinstance(error, ApiAway):
        return ScaleRejected(f"{workload}: {error}; whether it was scaled is not known")
    is_forbidden = isinstance(error, ApiRefused) and error.is_forbidden
    hint = f"kubectl auth can-i patch {workload.kind.plural}/scale" if is_forbidden else None
    return ScaleRejected(f"{workload}: {error}", hint=hint)
