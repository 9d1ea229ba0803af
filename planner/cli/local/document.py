"""A look at a deployment as programs read it."""

from pathlib import Path

from planner.cli.local import board
from planner.cli.local.status import Status
from planner.core.observation import Replicas
from planner.core.role import Role

Document = dict[str, object]


def document(status: Status | None, state: Path) -> Document:
    """Return *status* of the folder *state*; None is that nothing runs there."""
    if status is None:
        return {"running": False, "state_dir": str(state)}
    spec = status.spec
    return {
        "running": True,
        "state_dir": str(state),
        "namespace": spec.namespace,
        "store_url": spec.store_url or None,
        "sla": status.sla,
        "attained": status.attained,
        "replicas": None
        if status.fleet is None
        else {role.value: _role(status, role, counts) for role, counts in status.fleet.items()},
        "problem": status.problem,
        "frontend": status.frontend,
        "servers": status.servers,
        "last_decision": _last(status),
    }


def _role(status: Status, role: Role, replicas: Replicas) -> Document:
    decision, load = status.decision(role), status.load(role)
    return {
        "desired": None if decision is None else decision.desired,
        "requested": replicas.current,
        "ready": replicas.ready,
        "starting": replicas.starting,
        "draining": replicas.draining,
        "waiting": load.waiting,
        "running": load.running,
        "kv_usage": load.kv_usage,
        "reason": board.reason(status, role),
    }


def _last(status: Status) -> Document | None:
    last = status.last
    if last is None:
        return None
    seen = last.entry.observation
    return {
        "id": last.id,
        "at": last.entry.at,
        "age_seconds": max(0.0, status.at - last.entry.at),
        "metrics_age_seconds": None if seen is None else seen.age_seconds,
        "mode": last.mode,
        "outcome": last.entry.outcome,
        "note": last.entry.note,
    }
