"""What rows come to: means with intervals, and curves at equal GPU-hours or equal attainment."""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from itertools import pairwise
from math import sqrt
from statistics import fmean, stdev

import numpy as np
from jobs import COLD_START, EXACT, FIXED, ORACLE, PLANNER, Row
from scipy.special import stdtrit

from planner.peers import PEERS

_CONFIDENCE = 0.95


@dataclass(frozen=True, slots=True, kw_only=True)
class Mean:
    """A mean over seeds; *half* of its 95 % interval (Student's t), None with fewer than two."""

    mean: float
    half: float | None
    least: float
    seeds: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Point:
    """One policy at one setting, over seeds."""

    policy: str
    headroom: float
    attainment: Mean
    gpu_hours: Mean
    scale_actions: Mean


def mean(values: Sequence[float]) -> Mean:
    """Return the mean of one value a seed."""
    half = None
    if len(values) > 1:
        t = float(stdtrit(len(values) - 1, (1 + _CONFIDENCE) / 2))
        half = t * stdev(values) / sqrt(len(values))
    return Mean(mean=fmean(values), half=half, least=min(values), seeds=len(values))


def number(row: Row, name: str) -> float:
    """Return a figure of *row*."""
    value = row[name]
    assert isinstance(value, int | float)
    return float(value)


def chosen(rows: Iterable[Row], **wanted: object) -> list[Row]:
    """Return the rows that have these values, of the usual cold start and profile unless told."""
    usual = {"cold_start_seconds": COLD_START, "truth": EXACT, **wanted}
    return [row for row in rows if all(row[name] == value for name, value in usual.items())]


def point(rows: Sequence[Row]) -> Point:
    """Return the mean of *rows*, one a seed."""
    return Point(
        policy=str(rows[0]["policy"]),
        headroom=number(rows[0], "headroom"),
        attainment=mean([number(row, "attainment") for row in rows]),
        gpu_hours=mean([number(row, "gpu_hours") for row in rows]),
        scale_actions=mean([number(row, "scale_actions") for row in rows]),
    )


def points(rows: Sequence[Row], policy: str) -> list[Point]:
    """Return the settings of *policy* in *rows* of one load, from the least headroom on."""
    own = chosen(rows, policy=policy)
    settings = sorted({number(row, "headroom") for row in own})
    return [point([row for row in own if row["headroom"] == value]) for value in settings]


def by_seed(rows: Sequence[Row], figure: Callable[[list[Row]], float | None]) -> Mean | None:
    """Return the mean over seeds of a *figure* of the seed's rows; None where no seed has it."""
    seeds = sorted({int(number(row, "seed")) for row in rows})
    found = (figure([row for row in rows if row["seed"] == seed]) for seed in seeds)
    values = [value for value in found if value is not None]
    return mean(values) if values else None


def over_oracle(rows: list[Row]) -> float | None:
    """Return how many times the oracle's GPU-hours the planner's default takes, of one seed."""
    default, best = chosen(rows, policy=PLANNER, headroom=1.0), chosen(rows, policy=ORACLE)
    if not default or not best:
        return None
    return number(default[0], "gpu_hours") / number(best[0], "gpu_hours")


def over_oracle_at_target(rows: list[Row]) -> float | None:
    """Return the same where the planner's curve crosses 99 %; None where it does not."""
    best, hours = chosen(rows, policy=ORACLE), hours_at(0.99, chosen(rows, policy=PLANNER))
    return hours / number(best[0], "gpu_hours") if best and hours is not None else None


def hours_at(attainment: float, rows: list[Row]) -> float | None:
    """Return the GPU-hours at which a curve comes to *attainment*; None where it does not cross."""
    for (before, low), (hours, high) in pairwise(_frontier(rows)):
        if low < attainment <= high:
            return before + (hours - before) * (attainment - low) / (high - low)
    return None


def below_peers(rows: list[Row]) -> float | None:
    """Return by how much, of one seed, some peer's point lies above the planner's curve at most.

    Below zero says that every comparable point lies under it. Points that cost less than the whole
    curve are not comparable, and dearer ones are compared with its dear end.
    """
    gaps = [gap for peer in PEERS for gap in _above(rows, peer)]
    return max(gaps) if gaps else None


def below_fixed(rows: list[Row]) -> float | None:
    """Return the same for fleets that never change, which are chosen in hindsight."""
    gaps = _above(rows, FIXED)
    return max(gaps) if gaps else None


def _above(rows: list[Row], policy: str) -> list[float]:
    """Return how far each comparable point of *policy* lies above the planner's, of one seed."""
    curve = _frontier(chosen(rows, policy=PLANNER))
    if len(curve) < 2:
        return []
    hours, attained = zip(*curve, strict=True)
    others = _curve(chosen(rows, policy=policy))
    return [
        attainment - float(np.interp(cost, hours, attained))
        for cost, attainment in others
        if cost >= hours[0]
    ]


def _curve(rows: Iterable[Row]) -> list[tuple[float, float]]:
    return sorted((number(row, "gpu_hours"), number(row, "attainment")) for row in rows)


def _frontier(rows: Iterable[Row]) -> list[tuple[float, float]]:
    """Return the curve without settings that cost more than another and attain no more."""
    best: list[tuple[float, float]] = []
    for hours, attainment in _curve(rows):
        if not best or attainment > best[-1][1]:
            best.append((hours, attainment))
    return best
