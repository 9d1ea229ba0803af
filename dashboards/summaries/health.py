"""Whether the planner itself is well: when it last looked, at what, and what went wrong."""

from collections.abc import Sequence
from itertools import pairwise

from dashboards.reading.health import Moved, Trouble
from dashboards.reading.look import Look
from dashboards.summaries.words import clock
from planner.core.observation import Observation, Replicas, RoleLoad
from planner.journal import Run

Rows = list[dict[str, object]]
_LATE_INTERVALS = 4


def usual_gap(looks: Sequence[Look], *, every: int) -> float | None:
    """Return the median seconds between two decisions, of which *looks* are every *every*-th."""
    gaps = sorted(after.at - before.at for before, after in pairwise(looks))
    return gaps[len(gaps) // 2] / every if gaps else None


def is_late(age: float, gap: float | None) -> bool:
    """Return whether a last decision *age* seconds ago means that the planner has stopped."""
    return gap is not None and age > max(_LATE_INTERVALS * gap, 15.0)


def role_rows(observation: Observation) -> Rows:
    """Return a row a role: its replicas, and what its engines said, as last seen."""
    return [
        {
            "role": role.value,
            "replicas": _states(fleet),
            **_load(observation.load.get(role)),
        }
        for role, fleet in observation.fleet.items()
    ]


def _states(fleet: Replicas) -> str:
    also = ((fleet.starting, "starting"), (fleet.draining, "draining"))
    return ", ".join([f"{fleet.ready} ready", *(f"{n} {state}" for n, state in also if n)])


def _load(load: RoleLoad | None) -> dict[str, str]:
    known = load or RoleLoad()
    usage = known.kv_usage
    return {
        "requests": f"{_told(known.running)} running, {_told(known.waiting)} waiting",
        "KV usage": "?" if usage is None else f"{usage:.0%}",
    }


def _told(value: int | None) -> str:
    return "?" if value is None else f"{value:,}"


def age_rows(looks: Sequence[Look]) -> Rows:
    """Return the age of the metrics over time, in seconds."""
    return [
        {"at": round(look.at * 1e3), "series": "age", "value": look.age_seconds} for look in looks
    ]


def trouble_rows(troubles: Sequence[Trouble]) -> Rows:
    """Return a row for each thing that was noted."""
    return [
        {
            "what": one.note,
            "times": one.times,
            "last": clock(one.last),
            "first": clock(one.first),
        }
        for one in troubles
    ]


def moved_rows(moved: Sequence[Moved]) -> Rows:
    """Return a row for each decision that moved replicas, with their names."""
    return [
        {
            "decision": str(one.decision),
            "at": clock(one.at),
            "started": ", ".join(one.started),
            "draining": ", ".join(one.draining),
        }
        for one in moved
    ]


def run_rows(runs: Sequence[Run], *, most: int = 10) -> Rows:
    """Return a row for each of the last *most* runs, the latest first."""
    return [
        {
            "run": str(run.id),
            "planner": run.mode,
            "since": clock(run.started),
            "SLA": run.sla.replace(",", ", "),
        }
        for run in runs[::-1][:most]
    ]
