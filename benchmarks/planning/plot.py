"""Attainment against GPU-hours, a chart a load, every policy at several settings."""

from collections.abc import Sequence

from figures import Mean, Point, chosen, number, point, points
from jobs import FIXED, ORACLE, PLANNER, Row
from loads import LOADS, TUNED

from planner.charts import Axis, Dot, Dots, Level, Unit, scatter, sheet
from planner.peers import PEERS

_WIDEST = 3.0
"""Times the GPU-hours of the best fixed fleet: what costs more is of no interest."""
_LABELS = {FIXED: "fixed fleets"}


def plot(rows: Sequence[Row]) -> str:
    """Return one SVG document with a chart for each load in *rows* but those tuned on."""
    charts = []
    for name, load in LOADS.items():
        own = [row for row in rows if row["load"] == name]
        if own and name != TUNED:
            charts.append((load.title, _chart(own)))
    return sheet(charts)


def _chart(rows: Sequence[Row]) -> str:
    most = _most_hours(rows)
    groups = [
        _curve(policy, points(rows, policy), slot=slot, most=most)
        for slot, policy in enumerate((PLANNER, *PEERS, FIXED))
    ]
    best = chosen(rows, policy=ORACLE)
    if best:
        groups.append(Dots(label=ORACLE, dots=[_dot(point(best))], slot=len(groups) - 1))
    return scatter(
        [group for group in groups if group.dots],
        Axis(label="GPU-hours", low=0.0),
        Axis(label="attainment", unit=Unit.ATTAINMENT),
        levels=[Level(y=0.99, label="asked for")],
    )


def _most_hours(rows: Sequence[Row]) -> float:
    """Return the GPU-hours up to which points are drawn."""
    known = chosen(rows, policy=FIXED, headroom=1.0) or chosen(rows, policy=PLANNER, headroom=1.0)
    return _WIDEST * min(number(row, "gpu_hours") for row in known)


def _curve(policy: str, settings: Sequence[Point], *, slot: int, most: float) -> Dots:
    dots = [_dot(one) for one in settings if one.gpu_hours.mean <= most]
    return Dots(label=_LABELS.get(policy, policy), dots=dots, slot=slot, is_joined=True)


def _dot(one: Point) -> Dot:
    is_default = one.headroom == 1.0
    return Dot(
        x=one.gpu_hours.mean,
        y=one.attainment.mean,
        text=f"{one.policy} x{one.headroom:g}: {one.attainment.mean:.2%} at "
        f"{one.gpu_hours.mean:.1f} GPU-hours, {one.attainment.seeds} seeds",
        x_range=_range(one.gpu_hours) if is_default else None,
        y_range=_range(one.attainment, most=1.0) if is_default else None,
    )


def _range(value: Mean, *, most: float = float("inf")) -> tuple[float, float] | None:
    if value.half is None:
        return None
    return max(0.0, value.mean - value.half), min(most, value.mean + value.half)
