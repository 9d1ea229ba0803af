"""What a local deployment looks like right now; what cannot be read is None."""

import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from connectors.circus.spec import DeploymentSpec, spec_path
from planner.cli.local.view import Frontend, open_fleet
from planner.core.observation import Replicas
from planner.core.role import Role
from planner.errors import JournalError, PlannerError
from planner.journal import Journal, Query, Record
from planner.sources.exposition import parse

_JOURNAL = "journal.sqlite"
# A planner that acts and has decided within this time speaks for the deployment, also when one that
# observes has decided since.
_LATELY_SECONDS = 60.0
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
class Status:
    """One look at a deployment. *problem* is why the fleet is None."""

    spec: DeploymentSpec
    fleet: Mapping[Role, Replicas] | None
    problem: str | None
    frontend: FrontendStatus
    last: Record | None
    """The planner's latest decision about this deployment."""
    at: float

    def desired(self, role: Role) -> int | None:
        """Return the replicas that the planner last wanted; None when it has not decided."""
        plan = self.last.entry.plan if self.last else None
        return None if plan is None else plan.desired.get(role)


async def look(state: Path) -> Status:
    """Return the status of the deployment in *state*. Raises ConfigError when there is none."""
    path = spec_path(state)
    spec = DeploymentSpec.load(path)
    fleet, problem = await _fleet(spec)
    return Status(
        spec=spec,
        fleet=fleet,
        problem=problem,
        frontend=await _frontend(spec.frontend_url),
        last=_last_decision(state / _JOURNAL, since=path.stat().st_mtime),
        at=time.time(),
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


def _last_decision(path: Path, *, since: float) -> Record | None:
    """Return the latest decision after *since*: of the planner that acts, where one lately did."""
    if not path.exists():
        return None
    try:
        with Journal.read(path) as journal:
            latest = journal.latest()
            acting = journal.query(Query(mode="acts", limit=1))
    except JournalError:
        return None
    # An earlier deployment in the same folder left its decisions there.
    if latest is None or latest.entry.at < since:
        return None
    lately = [record for record in acting if record.entry.at >= latest.entry.at - _LATELY_SECONDS]
    return lately[0] if lately else latest
