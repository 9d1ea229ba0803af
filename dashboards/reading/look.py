"""One decision as the charts need it: a few numbers out of a row, not the whole record."""

import json
import sqlite3
from collections.abc import Mapping
from dataclasses import dataclass

from planner.core.observation import Latencies, Quantiles
from planner.core.role import Role

_TRAFFIC = (
    "seconds", "arrived", "finished", "failed", "within_sla", "ttft_sum", "ttft_count", "itl_sum",
    "itl_count", "isl_sum", "osl_sum",
)  # fmt: skip
_PLAN = ("current", "raw", "desired")
_QUANTILES = ("p50", "p95", "p99")


def _extract(column: str, path: str, name: str) -> str:
    return f"json_extract(d.{column}, '$.{path}') AS {name}"


LOOK_COLUMNS = ", ".join(
    [
        "d.id, d.run, r.mode, r.sla, d.at, d.changed",
        *(_extract("observation", f"traffic.{name}", name) for name in _TRAFFIC),
        _extract("observation", "fleet", "fleet"),
        _extract("observation", "age_seconds", "age_seconds"),
        _extract("observation", "latencies", "latencies"),
        *(
            _extract("plan", f"decisions.{role}.{name}", f"{role}_{name}")
            for role in Role
            for name in _PLAN
        ),
        _extract("plan", "gpus.current", "gpus"),
        _extract("plan", "gpus.desired", "gpus_desired"),
        _extract("plan", "cost_per_hour", "cost_desired"),
        _extract("plan", "attainment", "predicted"),
    ]
)
"""Columns of a SELECT from ``decisions d JOIN runs r`` for `look_of`."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RoleLook:
    """One role at one decision. What was not seen or not decided is None."""

    ready: int | None
    starting: int | None
    draining: int | None
    current: int | None
    raw: int | None
    desired: int | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Counts:
    """What the frontends counted in the *seconds* before a decision; latencies are sums."""

    seconds: float
    arrived: float
    finished: float
    failed: float
    within_sla: float | None
    """None where nobody knows."""
    ttft_sum: float
    ttft_count: float
    itl_sum: float
    itl_count: float
    isl_sum: float
    osl_sum: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Look:
    """One decision. *gpus* are those of ready and starting replicas; unknown is None."""

    id: int
    run: int
    mode: str
    sla: str
    at: float
    """Wall clock, seconds since the epoch."""
    changed: bool
    traffic: Counts | None
    latencies: Latencies
    """How those of the interval are spread, as far as it is told."""
    roles: Mapping[Role, RoleLook]
    age_seconds: float | None
    gpus: int | None
    gpus_desired: int | None
    cost_desired: float | None
    """Per hour."""
    predicted: float | None
    """Attainment expected of the fleet decided on."""


def look_of(row: sqlite3.Row) -> Look:
    """Return the look that a SELECT of `LOOK_COLUMNS` found."""
    fleet = json.loads(row["fleet"]) if row["fleet"] else {}
    return Look(
        id=row["id"],
        run=row["run"],
        mode=row["mode"],
        sla=row["sla"],
        at=row["at"],
        changed=bool(row["changed"]),
        traffic=_counts(row),
        latencies=_latencies(row),
        roles={role: seen for role in Role if (seen := _role(row, role, fleet)) is not None},
        age_seconds=row["age_seconds"],
        gpus=row["gpus"],
        gpus_desired=row["gpus_desired"],
        cost_desired=row["cost_desired"],
        predicted=row["predicted"],
    )


def _counts(row: sqlite3.Row) -> Counts | None:
    if not row["seconds"]:
        return None
    counted = {name: row[name] or 0 for name in _TRAFFIC}
    return Counts(**{**counted, "within_sla": row["within_sla"]})


def _latencies(row: sqlite3.Row) -> Latencies:
    told = json.loads(row["latencies"] or "{}")
    return Latencies(ttft=_quantiles(told.get("ttft")), itl=_quantiles(told.get("itl")))


def _quantiles(told: Mapping[str, float] | None) -> Quantiles | None:
    return None if told is None else Quantiles(**{name: told[name] for name in _QUANTILES})


def _role(row: sqlite3.Row, role: Role, fleet: Mapping[str, Mapping[str, int]]) -> RoleLook | None:
    states = fleet.get(role.value)
    decided = {name: row[f"{role}_{name}"] for name in _PLAN}
    if states is None and decided["desired"] is None:
        return None
    known = states or {}
    return RoleLook(
        ready=known.get("ready"),
        starting=known.get("starting"),
        draining=known.get("draining"),
        **decided,
    )
