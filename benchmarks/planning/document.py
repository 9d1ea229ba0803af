"""The JSON document of the figures, with all rows that they come from."""

import platform
from collections.abc import Iterable, Sequence
from dataclasses import asdict
from datetime import UTC, datetime
from importlib.metadata import PackageNotFoundError, version
from os import cpu_count

from figures import (
    Mean,
    below_fixed,
    below_peers,
    by_seed,
    chosen,
    over_oracle,
    over_oracle_at_target,
    point,
    points,
)
from jobs import COLD_START, EXACT, FIXED, HANDS_OFF, INTERVAL, ORACLE, PLANNER, PROFILE, Job, Row
from loads import LOADS

from planner.peers import PEERS
from planner.sim.score import UNSCORED_SECONDS

SCHEMA_VERSION = "1"
POLICIES = (PLANNER, FIXED, *PEERS, ORACLE)
Document = dict[str, object]


def document(rows: Sequence[Row], *, form: str, left_out: Sequence[Job]) -> Document:
    """Return what *rows* of the *form* full or short come to; *left_out* are jobs not run."""
    present = [name for name in LOADS if any(row["load"] == name for row in rows)]
    return {
        "schema_version": SCHEMA_VERSION,
        "form": form,
        "date": datetime.now(UTC).date().isoformat(),
        "commits": sorted({str(row["commit"]) for row in rows}),
        "machine": {"cores": cpu_count(), "architecture": platform.machine()},
        "versions": {"python": platform.python_version(), **_versions(("numpy", "numba"))},
        "deployment": {
            "profile": PROFILE,
            "cold_start_seconds": COLD_START,
            "interval_seconds": INTERVAL,
            "hands_off_seconds": HANDS_OFF,
            "scored_from_seconds": UNSCORED_SECONDS,
            "prefix_cache": False,
        },
        "policies": {name: _peer(name) for name in PEERS},
        "not_run": _not_run(left_out),
        "loads": {name: _load(name, rows) for name in present},
        "rows": sorted(rows, key=_order),
    }


def _not_run(jobs: Iterable[Job]) -> dict[str, dict[str, str]]:
    """Return *jobs* by load and policy, each as its seed and what is unusual about it."""
    found: dict[str, dict[str, str]] = {}
    for job in jobs:
        unusual = [f"x{job.headroom:g}"] * (job.headroom != 1.0)
        unusual += [f"cold start {job.cold_start:g} s"] * (job.cold_start != COLD_START)
        unusual += [job.truth] * (job.truth != EXACT)
        policies = found.setdefault(job.load, {})
        before = f"{policies[job.policy]}; " if job.policy in policies else ""
        policies[job.policy] = before + " ".join([f"seed {job.seed}", *unusual])
    return found


def _load(name: str, rows: Sequence[Row]) -> Document:
    own = [row for row in rows if row["load"] == name]
    load = LOADS[name]
    return {
        "title": load.title,
        "seen": load.seen,
        "sla": str(load.sla),
        "points": [asdict(one) for policy in POLICIES for one in points(own, policy)],
        "planner_over_oracle": _mean(by_seed(own, over_oracle)),
        "planner_over_oracle_at_99_percent": _mean(by_seed(own, over_oracle_at_target)),
        "largest_lead_of_a_peer_at_equal_gpu_hours": _mean(by_seed(own, below_peers)),
        "largest_lead_of_fixed_fleets_at_equal_gpu_hours": _mean(by_seed(own, below_fixed)),
        "cold_starts": _varied(own, "cold_start_seconds"),
        "wrong_profiles": _varied(own, "truth"),
    }


def _mean(value: Mean | None) -> Document | None:
    return None if value is None else asdict(value)


def varied(rows: Sequence[Row], name: str) -> dict[str, list[Row]]:
    """Return the planner's default rows by the value of *name*, all else as usual."""
    values = dict.fromkeys(
        row[name]
        for row in rows
        if row["policy"] == PLANNER and (name == "truth" or row["truth"] == EXACT)
    )
    found = {
        str(value): chosen(rows, policy=PLANNER, headroom=1.0, **{name: value}) for value in values
    }
    return {value: some for value, some in found.items() if some}


def _varied(rows: Sequence[Row], name: str) -> Document:
    found = varied(rows, name)
    return {value: asdict(point(some)) for value, some in found.items()} if len(found) > 1 else {}


def _peer(name: str) -> Document:
    peer = PEERS[name]
    return {"title": peer.title, "source": peer.source, "defaults": peer.defaults}


def _versions(packages: Iterable[str]) -> Document:
    found: Document = {}
    for package in packages:
        try:
            found[package] = version(package)
        except PackageNotFoundError:
            found[package] = None
    return found


def _order(row: Row) -> tuple[str, ...]:
    names = ("load", "policy", "truth", "cold_start_seconds", "headroom", "seed")
    return tuple(_sortable(row[name]) for name in names)


def _sortable(value: object) -> str:
    return f"{value:08.3f}" if isinstance(value, float) else str(value)
