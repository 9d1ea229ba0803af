"""`planner run --deployments`: a loop for each of many deployments in one process.

They share one watch of the namespace, one Lease and one page of metrics. Deployments that appear
are taken in, those that go are let go, and one that cannot be kept does not keep the others.
"""

import asyncio
import logging
from collections.abc import AsyncIterator, Collection, Mapping, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from random import Random

from connectors.kubernetes.cluster import Cluster
from planner.cli.control.cluster import ClusterPlace, Lead, leading, watched
from planner.cli.control.journal import journal_path
from planner.cli.control.looping import Looping, looping
from planner.cli.control.own_page import labelled, own_page
from planner.cli.control.target import check_alone, placed
from planner.cli.logs import tell_decisions
from planner.cli.output import notice
from planner.cli.paths import state_directory
from planner.cli.wiring import check, clocks, policy_for
from planner.config import Settings
from planner.config.deployments import Deployments, read_deployments
from planner.config.settings import ConnectorKind
from planner.core.role import Role
from planner.errors import ConfigError, PlannerError
from planner.journal import Journal
from planner.loop import Clocks, set_within
from planner.sources.scraped import ScrapedPage

LEASE = "planner"
"""The Lease of the planner that acts on many; that of a single one ends in its name."""
_LOOK_SECONDS = 1.0
_AGAIN_SECONDS = 30.0

log = logging.getLogger(__name__)


async def keep_many(settings: Settings, *, once: bool, stop: asyncio.Event) -> int:
    """Run the loops of all deployments until *stop*, or each for one turn; return the exit code."""
    _check(settings)
    assert settings.deployments is not None
    state = (settings.state_dir or state_directory()).resolve()
    listed = read_deployments(settings.deployments, settings)
    for its in listed.tables.values():
        check(its)
    tell_decisions()
    time = clocks()
    journals = Journals()
    async with AsyncExitStack() as stack:
        stack.push_async_callback(journals.close)  # after the Lease is free for others
        cluster = await stack.enter_async_context(watched(settings, clock=time.steady))
        lead = Lead()
        if not all(its.observe for its in listed.tables.values()):
            led = leading(cluster, LEASE, clock=time.steady)
            lead = await stack.enter_async_context(led)
        keeper = Keeper(cluster, listed, state=state, lead=lead, journals=journals, time=time)
        keeper.introduce()
        if once:
            await keeper.once()
            return 0
        stack.push_async_callback(keeper.close)
        await stack.enter_async_context(
            own_page(settings, keeper.registry, keeper.health, keeper.scraped)
        )
        await keeper.run(stop)
    notice("planner ended; replicas stay as they are")
    return 0


class Journals:
    """Opens and closes journals beside the loop: their disk takes a tenth of a second for each."""

    def __init__(self) -> None:
        self._closing: set[asyncio.Task[None]] = set()

    @asynccontextmanager
    async def opened(self, path: Path) -> AsyncIterator[Journal]:
        """Yield the journal at *path*; who leaves the block does not wait for its end."""
        opening = asyncio.create_task(asyncio.to_thread(Journal.open, path))
        try:
            journal = await asyncio.shield(opening)
        except asyncio.CancelledError:
            (await opening).close()
            raise
        try:
            yield journal
        finally:
            task = asyncio.create_task(asyncio.to_thread(journal.close))
            self._closing.add(task)
            task.add_done_callback(self._closing.discard)

    async def close(self) -> None:
        """Wait for those that are being closed."""
        await asyncio.gather(*self._closing)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Kept:
    roles: Collection[Role]
    task: "asyncio.Task[None]"


class Keeper:
    """Keeps every deployment in *cluster* that *listed* has settings for.

    What each remembers is in a folder of its own inside *state*.
    """

    def __init__(
        self,
        cluster: Cluster,
        listed: Deployments,
        *,
        state: Path,
        lead: Lead,
        journals: Journals,
        time: Clocks,
    ) -> None:
        self._cluster = cluster
        self._listed = listed
        self._state = state
        self._lead = lead
        self._journals = journals
        self._time = time
        self._rng = Random()  # noqa: S311 - spreads turns, hides nothing
        self._kept: dict[str, _Kept] = {}
        self._loops: dict[str, Looping] = {}
        self._refused: dict[str, tuple[Collection[Role], float]] = {}
        self.registry = labelled(
            lambda: [(one.metrics.registry, one.labels) for one in self._loops.values()]
        )

    def introduce(self) -> None:
        """Say what is there, and what is listed and is not."""
        places = self._places()
        notice(
            f"planner keeps {len(places)} deployments in namespace {self._cluster.namespace}"
            f" as {self._listed.path} says"
        )
        if absent := sorted(self._listed.named - places.keys()):
            notice(f"not there yet: {', '.join(absent)}")

    async def run(self, stop: asyncio.Event) -> None:
        """Keep them until *stop* is set."""
        while True:
            try:
                await self._begin_and_end()
            except Exception:
                log.exception("deployments not looked at")  # those that are kept still are
            if await set_within(stop, _LOOK_SECONDS):
                return

    async def once(self) -> None:
        """Take one turn for each; raises what kept the first of those from it that had none."""
        turns = [self._turn(place) for place in self._places().values()]
        for error in await asyncio.gather(*turns, return_exceptions=True):
            if isinstance(error, BaseException):
                raise error

    def health(self) -> tuple[bool, Mapping[str, object]]:
        """Return whether the turns of all of them end."""
        states = {name: one.health() for name, one in self._loops.items()}
        hung = sorted(name for name, (is_well, _) in states.items() if not is_well)
        return not hung, {"deployments": len(states), "hung": hung}

    def scraped(self) -> Sequence[ScrapedPage]:
        """Return the metrics pages that the loops go by."""
        return [page for one in self._loops.values() for page in one.scraped()]

    async def close(self) -> None:
        """End the loops; replicas stay as they are."""
        await self._end(list(self._kept))

    def _places(self) -> Mapping[str, ClusterPlace]:
        found = {}
        for name in sorted(self._cluster.deployments()):
            settings = self._listed.settings(name, state=self._state)
            if settings is not None:
                place = ClusterPlace(
                    settings=settings,
                    deployment=name,
                    cluster=self._cluster,
                    clock=self._time.steady,
                    lead=self._lead,
                )
                if place.roles:
                    found[name] = place
        return found

    async def _begin_and_end(self) -> None:
        places, now = self._places(), self._time.steady()
        await self._end([
            name
            for name, kept in self._kept.items()
            # Its bounds are those of its roles: with others it begins anew, with all it knows.
            if name not in places or kept.task.done() or kept.roles != places[name].roles
        ])  # fmt: skip
        for name, place in places.items():
            if name not in self._kept and not self._is_hopeless(place, now):
                task = asyncio.create_task(self._keep(place))
                self._kept[name] = _Kept(roles=place.roles, task=task)

    def _is_hopeless(self, place: ClusterPlace, now: float) -> bool:
        """Return whether it was tried lately, as it is."""
        roles, at = self._refused.get(place.deployment, (None, now))
        return roles == place.roles and now - at < _AGAIN_SECONDS

    async def _end(self, names: Collection[str]) -> None:
        tasks = [self._kept.pop(name).task for name in names]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    async def _keep(self, place: ClusterPlace) -> None:
        name = place.deployment
        try:
            # Not all of them at one moment, now and in every interval from now on.
            await asyncio.sleep(self._rng.uniform(0, place.settings.interval))
            async with self._looping(place) as kept:
                self._loops[name] = kept
                log.info("deployment kept name=%s", name)
                await kept.loop.run(asyncio.Event())
        except Exception as error:
            self._refused[name] = (place.roles, self._time.steady())
            is_told = isinstance(error, PlannerError)  # else a traceback helps
            log.warning("deployment not kept name=%s error=%s", name, error, exc_info=not is_told)
        finally:
            self._loops.pop(name, None)
            if self._lead.handover is not None:
                self._lead.handover.forget(name)

    async def _turn(self, place: ClusterPlace) -> None:
        async with self._looping(place) as kept:
            await kept.once()

    @asynccontextmanager
    async def _looping(self, place: ClusterPlace) -> AsyncIterator[Looping]:
        settings = place.settings
        policy = policy_for(settings, place.roles)
        async with (
            placed(place) as target,
            self._journals.opened(journal_path(settings)) as journal,
        ):
            yield looping(settings, policy, target, journal=journal, time=self._time)


def _check(settings: Settings) -> None:
    check_alone(settings, "--deployments")
    if settings.connector is not ConnectorKind.KUBERNETES:
        raise ConfigError("--deployments: these are on Kubernetes", hint="--connector kubernetes")
    if settings.journal is not None:
        raise ConfigError(
            f"--journal {settings.journal}: each of --deployments has a journal of its own",
            hint="--state-dir DIR: they are in folders there",
        )
