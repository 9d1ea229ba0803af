"""Objects of one kind, kept up by list and watch: what the cluster knows, without asking again."""

import asyncio
import contextlib
import logging
from collections.abc import Callable, Collection, Mapping
from contextlib import aclosing
from random import Random

from connectors.kubernetes.api import Api, ApiAway, ApiFault, ApiRefused, Event, Json, is_older
from connectors.kubernetes.labelled import Labelled
from connectors.kubernetes.objects import DEPLOYMENT

_PAGE = "500"
_WATCH_SECONDS = 60.0
_RESYNC_SECONDS = 300.0
_FIRST_WAIT_SECONDS = 0.1
_LONGEST_WAIT_SECONDS = 5.0

log = logging.getLogger(__name__)


class Watched:
    """The objects at *path* with labels that fit *selector*, by name and by deployment.

    A watch that ends goes on where it was; one whose version the server no longer keeps (410)
    lists again, and so does every watch now and then. *clock* returns seconds.
    """

    def __init__(
        self,
        api: Api,
        path: str,
        *,
        selector: str = "",
        clock: Callable[[], float],
        rng: Random | None = None,
        resync_seconds: float = _RESYNC_SECONDS,
    ) -> None:
        self._api = api
        self._path = path
        self._selector = selector
        self._clock = clock
        self._rng = rng or Random()  # noqa: S311 - spreads reconnects, hides nothing
        self._resync_seconds = resync_seconds
        self._known = Labelled(DEPLOYMENT)
        self._version = ""
        self._listed_at = clock()
        self._lost_at: float | None = clock()
        self._fault: ApiFault | None = None
        self._looked = asyncio.Event()
        self._task: asyncio.Task[None] | None = None
        self.lists = 0
        """How often everything was listed."""

    @property
    def objects(self) -> Mapping[str, Json]:
        """What is there, as last heard."""
        return self._known.objects

    def of(self, name: str) -> Collection[Json]:
        """Return the objects of the deployment *name*."""
        return self._known.of(name)

    @property
    def deployments(self) -> Collection[str]:
        """Every deployment that an object is labelled with."""
        return self._known.values

    @property
    def fault(self) -> ApiFault | None:
        """Why nothing more is heard; None while the watch is up."""
        return self._fault

    @property
    def age_seconds(self) -> float:
        """For how long nothing could be heard; 0 while the watch is up."""
        return 0.0 if self._lost_at is None else self._clock() - self._lost_at

    async def start(self) -> None:
        """Begin to watch; return once the first list has come, or has failed."""
        if self._task is None:
            self._task = asyncio.create_task(self._run())
        await self._looked.wait()

    async def close(self) -> None:
        """Stop watching."""
        if self._task is not None:
            self._task.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await self._task
            self._task = None

    def amend(self, new: Json) -> None:
        """Take what a write answered for known, ahead of the watch."""
        self._put(new)

    async def _run(self) -> None:
        failures = 0
        while True:
            try:
                if not self._version or self._clock() - self._listed_at >= self._resync_seconds:
                    await self._list()
                    failures = 0
                await self._follow()
                failures = 0
            except ApiRefused as error:
                self._version = ""
                if not error.is_gone:
                    self._lost(error)
                    failures += 1
            except ApiFault as error:
                self._lost(error)
                failures += 1
            except Exception as error:
                log.exception("watch failed path=%s", self._path)
                self._lost(ApiAway(f"not understood: {error!r}"))
                self._version = ""
                failures += 1
            if failures:
                wait = min(_FIRST_WAIT_SECONDS * 2**failures, _LONGEST_WAIT_SECONDS)
                await asyncio.sleep(wait * self._rng.uniform(0.5, 1.0))

    async def _list(self) -> None:
        found: dict[str, Json] = {}
        query = {"limit": _PAGE} | ({"labelSelector": self._selector} if self._selector else {})
        while True:
            page = await self._api.get(self._path, **query)
            found |= {_name(item): item for item in page.get("items") or ()}
            meta = page.get("metadata") or {}
            if not meta.get("continue"):
                break
            query["continue"] = meta["continue"]
        # What a write answered meanwhile is newer than a list that began before it.
        known = [o for n, o in self._known.objects.items() if n in found]
        self._known.become(found.values())
        for newer in known:
            self._put(newer)
        self._version = meta.get("resourceVersion", "")
        self._listed_at = self._clock()
        self.lists += 1
        self._heard()

    async def _follow(self) -> None:
        seconds = _WATCH_SECONDS * self._rng.uniform(0.8, 1.2)
        events = self._api.watch(
            self._path, version=self._version, seconds=seconds, selector=self._selector
        )
        began = self._clock()
        async with aclosing(events):
            async for event in events:
                self._take(event)
                self._heard()
        if self._clock() - began < _FIRST_WAIT_SECONDS:
            raise ApiAway("the watch was cut at once")  # do not turn in circles
        self._heard()

    def _take(self, event: Event) -> None:
        version = (event.object.get("metadata") or {}).get("resourceVersion", "")
        if event.type == "DELETED":
            self._known.drop(_name(event.object))
        elif event.type in ("ADDED", "MODIFIED"):
            self._put(event.object)
        self._version = version or self._version

    def _put(self, new: Json) -> None:
        known = self._known.objects.get(_name(new))
        if known is None or not is_older(_version(new), _version(known)):
            self._known.put(new)

    def _heard(self) -> None:
        if self._fault is not None:
            log.info("watch restored path=%s", self._path)
        self._fault, self._lost_at = None, None
        self._looked.set()

    def _lost(self, error: ApiFault) -> None:
        if self._fault is None:
            self._lost_at = self._lost_at if self._lost_at is not None else self._clock()
            level = logging.WARNING if self.lists else logging.DEBUG  # else its caller tells
            log.log(level, "watch lost path=%s error=%s", self._path, error)
        self._fault = error
        self._looked.set()


def _name(item: Json) -> str:
    name: str = item["metadata"]["name"]
    return name


def _version(item: Json) -> str:
    version: str = item["metadata"].get("resourceVersion", "")
    return version
