"""A look at a deployment as people read it: lines and a table."""

from collections.abc import Mapping, Sequence
from textwrap import fill

from planner.cli.decisions import change
from planner.cli.local.status import FrontendStatus, Status
from planner.cli.output import WIDTH, Cell
from planner.core.explain import explain
from planner.core.observation import Replicas
from planner.core.role import Role
from planner.core.units import format_duration, format_share

COLUMNS = ("role", "desired", "requested", "ready", "starting", "draining", "waiting", "KV")


def head(status: Status) -> list[str]:
    """Return what serves, and how well."""
    return [_serving(status), *_kept(status)]


def rows(status: Status) -> list[list[Cell]]:
    """Return a row of COLUMNS for each role; none when the replicas are unknown."""
    return [_row(status, role, replicas) for role, replicas in (status.fleet or {}).items()]


def foot(status: Status) -> list[str]:
    """Return what is missing, what was decided last, and why."""
    unknown = [f"Replicas are unknown: {status.problem}"] if status.fleet is None else []
    return [*unknown, _last(status), *_why(status)]


def reason(status: Status, role: Role) -> str | None:
    """Return the last reason of what was decided for *role*."""
    decision = status.decision(role)
    return decision.steps[-1].reason.value if decision and decision.steps else None


def _row(status: Status, role: Role, replicas: Replicas) -> list[Cell]:
    decision, load = status.decision(role), status.load(role)
    return [
        role.value,
        None if decision is None else decision.desired,
        replicas.current,
        replicas.ready,
        replicas.starting,
        replicas.draining,
        load.waiting,
        None if load.kv_usage is None else f"{load.kv_usage:.0%}",
    ]


def _why(status: Status) -> list[str]:
    plan = status.last.entry.plan if status.last else None
    decisions = plan.decisions.values() if plan else ()
    return [
        fill(f"  {one.role:<11}{explain(one)}", WIDTH, subsequent_indent=" " * 13)
        for one in decisions
    ]


def _serving(status: Status) -> str:
    if status.frontend is not None:
        return _frontend(status.frontend)
    return _servers(status.servers or {})


def _frontend(frontend: FrontendStatus) -> str:
    if not frontend.healthy:
        return f"{frontend.url} does not answer"
    models = ", ".join(frontend.models or ()) or "no model yet"
    load = "" if frontend.in_flight is None else f"   {_requests(frontend.in_flight)} in flight"
    queue = "" if frontend.queued is None else f", {frontend.queued} queued"
    return f"{frontend.url} serves {models}{load}{queue}"


def _requests(count: int) -> str:
    return "1 request" if count == 1 else f"{count} requests"


def _servers(listed: Mapping[str, Sequence[str]]) -> str:
    told = "; ".join(f"{role} {' '.join(urls)}" for role, urls in listed.items() if urls)
    return f"Servers to send to: {told or 'none is ready'}"


def _kept(status: Status) -> list[str]:
    if status.sla is None:
        return []
    attained = status.attained
    if attained is None:
        return [f"SLA {status.sla}   no request ended in the last minute"]
    count = attained.finished + attained.failed
    ended = f"{_requests(count)} in {format_duration(round(attained.seconds))}"
    if attained.share is None:
        return [f"SLA {status.sla}   {ended}; nobody tells which of them were late"]
    return [f"SLA {status.sla}   kept for {format_share(attained.share)} of {ended}"]


def _last(status: Status) -> str:
    last = status.last
    if last is None:
        return "No planner has decided anything yet"
    age = format_duration(max(0.0, status.at - last.entry.at))
    plan, seen = last.entry.plan, last.entry.observation
    told = (
        ", ".join(f"{role} {change(decision)}" for role, decision in plan.decisions.items())
        if plan
        else "nothing, the fleet is held"
    )
    old = "" if seen is None else f" on metrics {format_duration(seen.age_seconds)} old"
    outcome = last.entry.note or last.entry.outcome
    return f"Decision {last.id}, {age} ago{old}: {told}{f' ({outcome})' if outcome else ''}"
