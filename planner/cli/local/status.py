"""What a local deployment looks like right now; what cannot be read is None."""

import json
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from connectors.circus.spec import DeploymentSpec, spec_path
from planner.cli.control.fleet import READY_FILE
from planner.cli.local.view import Frontend, open_fleet
from planner.cli.paths import journal_in
from planner.core.observation import Replicas, RoleLoad
from planner.core.plan import Decision
from planner.core.role import Role
from planner.errors import JournalError, PlannerError
from planner.journal import Journal, Query, Record
from planner.sources.exposition import parse

# A planner that acts and has decided within this time speaks for the deployment, also when one that
# observes has decided since.
_LATELY_SECONDS = 60.0
_MOST_LATELY = 600
_PREFIX = "planner_frontend_"


@dataclass(frozen=True, slots=True, kw_only=True)
class FrontendStatus:
    """The frontend: its models and load, all None while it does not answer."""

    url: str
    healthy: bool
    models: list[str] | None
    in_flight: int | None
    queued: int | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Attained:
    """The share of the requests that ended in the last *seconds* which were inside the SLA.

    Those that failed were not.
    """

    share: float | None
    """None where nobody tells which requests were late."""
    finished: int
    failed: int
    seconds: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Status:
    """One look at a deployment. *problem* is why the fleet is None."""

    spec: DeploymentSpec
    fleet: Mapping[Role, Replicas] | None
    problem: str | None
    frontend: FrontendStatus | None
    """None for servers of another make, which have none of ours."""
    servers: Mapping[str, Sequence[str]] | None
    """For those: the URLs by role of the ones that senders are told of."""
    lately: Sequence[Record]
    """What the planner decided in the last minute, and at any rate its latest, newest first."""
    at: float

    @property
    def last(self) -> Record | None:
        """The planner's latest decision about this deployment."""
        return self.lately[0] if self.lately else None

    @property
    def sla(self) -> str | None:
        """What the deployment was started for, else what its planner keeps."""
        return self.spec.sla or (self.last.sla if self.last else None)

    @property
    def attained(self) -> Attained | None:
        """How the SLA was kept lately; None when no request ended."""
        recent = [r for r in self.lately if r.entry.at > self.at - _LATELY_SECONDS]
        seen = [r.entry.observation for r in recent]
        traffic = [one.traffic for one in seen if one is not None and one.traffic is not None]
        ended = sum(one.ended for one in traffic)
        if not ended:
            return None
        within = [one.within_sla for one in traffic if one.within_sla is not None]
        is_known = len(within) == len(traffic)
        return Attained(
            share=min(1.0, sum(within) / ended) if is_known else None,
            finished=sum(one.finished for one in traffic),
            failed=sum(one.failed for one in traffic),
            seconds=sum(one.seconds for one in traffic),
        )

    def decision(self, role: Role) -> Decision | None:
        """Return what was last decided for *role*; None when nothing was."""
        plan = self.last.entry.plan if self.last else None
        return None if plan is None else plan.decisions.get(role)

    def load(self, role: Role) -> RoleLoad:
        """Return what the engines of *role* said when the planner last looked."""
        seen = self.last.entry.observation if self.last else None
        return seen.load.get(role, RoleLoad()) if seen else RoleLoad()


async def look(state: Path) -> Status:
    """Return the status of the deployment in *state*. Raises ConfigError when there is none."""
    path = spec_path(state)
    spec = DeploymentSpec.load(path)
    began = path.stat().st_mtime
    fleet, problem = await _fleet(spec)
    now = time.time()
    return Status(
        spec=spec,
        fleet=fleet,
        problem=problem,
        frontend=None if spec.is_served_by_others else await _frontend(spec.frontend_url),
        servers=listed(state / READY_FILE) if spec.is_served_by_others else None,
        lately=_decisions(journal_in(state), since=began, now=now),
        at=now,
    )


async def _fleet(spec: DeploymentSpec) -> tuple[Mapping[Role, Replicas] | None, str | None]:
    try:
        async with open_fleet(spec) as connector:
            return await connector.fleet(), None
    except PlannerError as error:
        return None, str(error)


async def _frontend(url: str) -> FrontendStatus:
    frontend = Frontend(url)
    try:
        models = await frontend.models()
        text = await frontend.metrics()
    finally:
        await frontend.close()
    page = None if text is None else parse(text, _PREFIX)
    in_flight, queued = (
        None if page is None else page.total(f"{_PREFIX}{name}_requests")
        for name in ("inflight", "queued")
    )
    return FrontendStatus(
        url=url,
        healthy=models is not None,
        models=models,
        in_flight=None if in_flight is None else int(in_flight),
        queued=None if queued is None else int(queued),
    )


def listed(path: Path) -> Mapping[str, Sequence[str]] | None:
    """Return the servers in the list at *path*; None without one, or in the middle of its end."""
    try:
        servers = json.loads(path.read_bytes())["servers"]
        return {role: list(urls) for role, urls in servers.items()}
    except (OSError, ValueError, KeyError, AttributeError):
        return None


def _decisions(path: Path, *, since: float, now: float) -> list[Record]:
    """Return the latest decisions after *since*: of the planner that acts, where one lately did."""
    if not path.exists():
        return []
    try:
        with Journal.read(path) as journal:
            latest = journal.latest()
            # An earlier deployment in the same folder left its decisions there.
            if latest is None or latest.entry.at < since:
                return []
            acting = journal.query(Query(mode="acts", limit=1))
            lately = [r for r in acting if r.entry.at >= latest.entry.at - _LATELY_SECONDS]
            speaks = lately[0] if lately else latest
            begin = max(since, now - _LATELY_SECONDS)
            recent = Query(run=speaks.run, since=begin, limit=_MOST_LATELY)
            return journal.query(recent) or [speaks]
    except JournalError:
        return []
