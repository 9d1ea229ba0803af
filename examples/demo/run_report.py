"""What a run came to: the client's measurements joined with the planner's journal."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from planner.core.observation import Traffic
from planner.core.role import Role
from planner.journal import Record

Timeline = dict[Role, list[tuple[float, int]]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Window:
    """The part of the journal that counts: wall clock seconds from *start* to *end*."""

    start: float
    end: float


def timelines(records: Iterable[Record], window: Window) -> tuple[Timeline, Timeline]:
    """Return ready and provisioned replicas by role, as (seconds into *window*, count)."""
    ready: Timeline = {}
    provisioned: Timeline = {}
    for record in records:
        seen = record.entry.observation
        if seen is None or not window.start <= record.entry.at <= window.end:
            continue
        at = record.entry.at - window.start
        for role, replicas in seen.fleet.items():
            ready.setdefault(role, []).append((at, replicas.ready))
            provisioned.setdefault(role, []).append((at, replicas.provisioned))
    return ready, provisioned


def series(
    records: Iterable[Record], window: Window, ratio: Callable[[Traffic], tuple[float, float]]
) -> list[tuple[float, float]]:
    """Return (seconds into *window*, sum / count) of each interval whose *ratio* has a count."""
    points = []
    for record in records:
        seen = record.entry.observation
        if seen and seen.traffic and window.start <= record.entry.at <= window.end:
            total, count = ratio(seen.traffic)
            if count:
                points.append((record.entry.at - window.start, total / count))
    return points


def gpu_seconds(provisioned: Timeline, gpus: Mapping[Role, int], *, seconds: float) -> float:
    """Return GPU-seconds held, starting and draining replicas included."""
    total = 0.0
    for role, points in provisioned.items():
        ends = [at for at, _ in points[1:]] + [seconds]
        total += gpus[role] * sum(
            count * (end - at) for (at, count), end in zip(points, ends, strict=True)
        )
    return total


def report(
    replay: Mapping[str, Any],
    records: Sequence[Record],
    *,
    window: Window,
    gpus: Mapping[Role, int],
) -> dict[str, Any]:
    """Return the report of a run, as it is written to demo-report.json.

    *replay* is the JSON of `planner replay`. The static peak is a fleet that never scales: the
    most replicas of each role that were ready at once, for the whole time.
    """
    seconds = window.end - window.start
    ready, provisioned = timelines(records, window)
    peak = {role: max(count for _, count in points) for role, points in ready.items()}
    inside = [r for r in records if window.start <= r.entry.at <= window.end]
    actions = sum(len(r.entry.started) + len(r.entry.draining) for r in inside)
    kept = ("requests", "completed", "failed", "failures", "attainment", "ttft_ms", "itl_ms")
    return {
        "schema_version": "1",
        **{name: replay[name] for name in kept},
        "duration_seconds": round(seconds, 1),
        "gpu_seconds": round(gpu_seconds(provisioned, gpus, seconds=seconds), 1),
        "gpu_seconds_static_peak": round(
            sum(gpus[role] * count * seconds for role, count in peak.items()), 1
        ),
        "replicas": {
            role.value: {
                "min": min(count for _, count in points),
                "max": max(count for _, count in points),
            }
            for role, points in ready.items()
        },
        "scale_actions": actions,
    }
