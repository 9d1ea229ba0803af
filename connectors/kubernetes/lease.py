"""Of several planners for one deployment the holder of a Lease acts; the others look on."""

import asyncio
import contextlib
import logging
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from random import Random

from connectors.kubernetes.api import Api, ApiFault, ApiRefused, Json
from connectors.kubernetes.kinds import LEASES

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class Terms:
    """How long a lease lasts, in seconds.

    Its holder stops acting *deadline* after it was last renewed, well before others may take it:
    what it was doing then is over by that time.
    """

    duration: float = 15.0
    deadline: float = 10.0
    retry: float = 2.0


class KubernetesLease:
    """The Lease *name*, sought and kept by this planner as *identity* from `start` to `close`.

    When others renew it is timed here from when that was seen: clocks may differ. *clock* never
    goes back, in seconds. With each renewal *annotate* is given the annotations that stand at it,
    and returns those that are to.
    """

    def __init__(
        self,
        api: Api,
        path: tuple[str, str],
        *,
        identity: str,
        clock: Callable[[], float],
        terms: Terms | None = None,
        annotate: Callable[[Mapping[str, str]], Mapping[str, str]] = dict,
    ) -> None:
        self._api = api
        self._namespace, self._name = path
        self._identity = identity
        self._clock = clock
        self._terms = terms or Terms()
        self._annotate = annotate
        self._rng = Random()  # noqa: S311 - spreads tries, hides nothing
        self._renewed_at: float | None = None
        self._seen: tuple[str, str, str] | None = None
        self._seen_at = clock()
        self._task: asyncio.Task[None] | None = None
        self.holder: str | None = None
        """Who holds it, as last read."""
        self.annotations: Mapping[str, str] = {}
        """What stands at it, as last read or written."""

    def holds(self) -> bool:
        """Return whether this planner may act."""
        renewed = self._renewed_at
        return renewed is not None and self._clock() - renewed < self._terms.deadline

    async def start(self) -> None:
        """Try to take it once, and go on from there."""
        if self._task is None:
            await self._turn()
            self._task = asyncio.create_task(self._run())

    async def close(self) -> None:
        """Stop, and let others have it at once."""
        if self._task is None:
            return
        self._task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await self._task
        self._task = None
        if self.holds():
            self._renewed_at = None
            with contextlib.suppress(ApiFault):
                lease = await self._api.get(self._path)
                if lease["spec"].get("holderIdentity") == self._identity:
                    spec = {**lease["spec"], "holderIdentity": "", "leaseDurationSeconds": 1}
                    await self._api.replace(self._path, {**lease, "spec": spec})

    @property
    def _path(self) -> str:
        return LEASES.path(self._namespace, self._name)

    async def _run(self) -> None:
        while True:
            await asyncio.sleep(self._terms.retry * self._rng.uniform(0.9, 1.1))
            try:
                await self._turn()
            except Exception:
                log.exception("lease turn failed name=%s", self._name)

    async def _turn(self) -> None:
        held, asked_at = self.holds(), self._clock()
        try:
            taken = await self._taken()
        except ApiFault as error:
            log.debug("lease not renewed name=%s error=%s", self._name, error)
            if held and not self.holds():
                log.warning("lease lost name=%s error=%s", self._name, error)
            return
        # From when it was asked: the server may have counted from then.
        self._renewed_at = asked_at if taken else None
        if held != taken:
            log.info(
                "lease %s name=%s holder=%s", "taken" if taken else "lost", self._name, self.holder
            )

    async def _taken(self) -> bool:
        """Take or renew the lease; return whether that was done. Raises ApiFault."""
        try:
            lease = await self._api.get(self._path)
        except ApiRefused as error:
            if not error.is_missing:
                raise
            return await self._written(None)
        spec = lease.get("spec") or {}
        self.annotations = lease["metadata"].get("annotations") or {}
        self.holder = spec.get("holderIdentity") or None
        self._see(spec)
        if self.holder not in (None, self._identity) and not self._is_over(spec):
            return False
        return await self._written(lease)

    async def _written(self, lease: Json | None) -> bool:
        old = (lease or {}).get("spec") or {}
        now = datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")
        is_mine = old.get("holderIdentity") == self._identity
        changes = int(old.get("leaseTransitions") or 0) + (lease is not None and not is_mine)
        spec = {
            "holderIdentity": self._identity,
            "leaseDurationSeconds": round(self._terms.duration),
            "acquireTime": old.get("acquireTime", now) if is_mine else now,
            "renewTime": now,
            "leaseTransitions": changes,
        }
        try:
            annotations = dict(self._annotate(self.annotations))
            if lease is None:
                body = {"metadata": {"name": self._name, "annotations": annotations}, "spec": spec}
                await self._api.create(LEASES.path(self._namespace), body)
            else:
                meta = {**lease["metadata"], "annotations": annotations}
                await self._api.replace(self._path, {**lease, "metadata": meta, "spec": spec})
        except ApiRefused as error:
            if error.is_conflict:  # somebody was faster
                return False
            raise
        self.holder, self.annotations = self._identity, annotations
        return True

    def _see(self, spec: Json) -> None:
        seen = tuple(str(spec.get(k)) for k in ("holderIdentity", "renewTime", "acquireTime"))
        if seen != self._seen:
            self._seen, self._seen_at = (seen[0], seen[1], seen[2]), self._clock()

    def _is_over(self, spec: Json) -> bool:
        seconds = float(spec.get("leaseDurationSeconds") or self._terms.duration)
        return self._clock() - self._seen_at >= seconds
