"""The charts of a report, each from the runs that it shows."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from planner.api.runs import Run, Simulation
from planner.charts import (
    Axis,
    Band,
    Dot,
    Dots,
    Extras,
    Level,
    Series,
    Size,
    Unit,
    scatter,
    steps,
)
from planner.cli.sim.reasons import Asked, asked, notes
from planner.cli.sim.windows import Windows, known, windows
from planner.core.role import Role
from planner.core.units import format_duration, format_share
from planner.sim.result import SimResult

_TIME = Axis(label="time", unit=Unit.SECONDS)
_ORACLE_SLOT = 6
_COLUMNS = 780
_TIMES_TARGET = 6.0
"""Latencies this many times the target are all the same: far too long."""

_LOW = Size(height=180)

Figure = Callable[[Windows], list[float | None]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Shown:
    """A run's figures over time, and its colour."""

    slot: int
    name: str
    figures: Windows


def frontier(runs: Simulation) -> str:
    """Return attainment against GPU-hours, one dot a policy and one for the oracle."""
    dots = [
        _dot(run.name, run.score.gpu_hours, run.score.attainment, slot=slot)
        for slot, run in enumerate(runs.runs)
    ]
    if runs.oracle is not None:
        best = runs.oracle
        dots.append(_dot("oracle", best.gpu_hours, best.attainment, slot=_ORACLE_SLOT))
    return scatter(
        dots,
        Axis(label="GPU-hours", low=0),
        Axis(label="Attainment", unit=Unit.ATTAINMENT),
        levels=[_target(runs)],
    )


def latencies(runs: Simulation, shown: Sequence[Shown]) -> list[str]:
    """Return attainment and the p99 of TTFT and ITL over time, each against its target."""
    sla = runs.setting.config.sla
    return [
        _by_window(
            shown,
            lambda one: one.attainment,
            axis=Axis(label="Attainment", unit=Unit.SHARE, high=1),
            target=_target(runs),
        ),
        _latency(shown, lambda one: one.ttft_p99, name="TTFT p99", target=sla.ttft_seconds),
        _latency(shown, lambda one: one.itl_p99, name="ITL p99", target=sla.itl_seconds),
    ]


def arrivals(figures: Windows) -> str:
    """Return the rate at which requests arrived."""
    series = [Series(label="arrived", x=figures.starts, y=figures.rate)]
    return steps(series, _TIME, Axis(label="Requests/s", low=0), size=_LOW)


def gpus(runs: Simulation) -> str:
    """Return the GPUs that each policy held over time, and the oracle's."""
    held = [
        _held(run.name, run.result, slot=slot, is_dashed=False)
        for slot, run in enumerate(runs.runs)
    ]
    if runs.oracle is not None:
        held.append(_held("oracle", runs.oracle.result, slot=_ORACLE_SLOT, is_dashed=True))
    return steps(held, _TIME, Axis(label="GPUs held", unit=Unit.COUNT, low=0))


def replicas(run: Run, role: Role) -> str:
    """Return one role's replicas over time: needed, asked for, ready and held, with the reasons."""
    result, decisions = run.result, asked(run, role)
    at, end = [change.at for change in result.changes], result.duration_seconds
    fleets = [change.fleet[role] for change in result.changes]
    held = [float(fleet.provisioned) for fleet in fleets]
    ready = [float(fleet.ready) for fleet in fleets]
    series = [
        Series(label="ready", x=[*at, end], y=[*ready, ready[-1]]),
        *_asked_for(decisions),
    ]
    band = Band(
        x=[*at, end], low=[0.0] * (len(at) + 1), high=[*held, held[-1]], label="held", slot=0
    )
    near = notes(decisions, seconds=max(end / _COLUMNS, 1e-3))
    return steps(
        series,
        _TIME,
        Axis(label=f"{role.capitalize()} replicas", unit=Unit.COUNT, low=0),
        extras=Extras(bands=[band], notes=near),
    )


def shown(runs: Simulation) -> list[Shown]:
    """Return each run with its figures over time, in the colour that it has everywhere."""
    return [
        Shown(slot=slot, name=run.name, figures=windows(run.result))
        for slot, run in enumerate(runs.runs)
    ]


def _asked_for(decisions: Sequence[Asked]) -> list[Series]:
    if not decisions:
        return []
    x = [one.at for one in decisions]
    lines_ = [
        Series(
            label="desired", x=x, y=[float(one.desired) for one in decisions], slot=1,
            is_dashed=True,
        )
    ]  # fmt: skip
    if any(one.need is not None for one in decisions):
        needs = [None if one.need is None else float(one.need) for one in decisions]
        lines_.append(Series(label="need", x=x, y=needs, slot=2, is_dashed=True))
    return lines_


def _by_window(shown: Sequence[Shown], figure: Figure, *, axis: Axis, target: Level | None) -> str:
    series = [
        Series(label=one.name, x=one.figures.starts, y=figure(one.figures), slot=one.slot)
        for one in shown
    ]
    levels = [] if target is None else [target]
    return steps(series, _TIME, axis, extras=Extras(levels=levels), size=_LOW)


def _latency(shown: Sequence[Shown], figure: Figure, *, name: str, target: float | None) -> str:
    longest = max((value for one in shown for value in known(figure(one.figures))), default=0.0)
    most = None if target is None else _TIMES_TARGET * target
    is_cut = most is not None and longest > most
    cut = f", cut at {format_duration(most)}" if most is not None and is_cut else ""
    axis = Axis(label=f"{name}{cut}", unit=Unit.SECONDS, low=0, high=most if is_cut else None)
    level = None if target is None else Level(y=target, label=f"target {format_duration(target)}")
    return _by_window(shown, figure, axis=axis, target=level)


def _held(label: str, result: SimResult, *, slot: int, is_dashed: bool) -> Series:
    counts = [float(result.gpus(change.fleet)) for change in result.changes]
    return Series(
        label=label,
        x=[*(change.at for change in result.changes), result.duration_seconds],
        y=[*counts, counts[-1]],
        slot=slot,
        is_dashed=is_dashed,
    )


def _dot(label: str, gpu_hours: float, share: float, *, slot: int) -> Dots:
    text = f"{label}: {format_share(share)} with {gpu_hours:.2f} GPU-hours"
    return Dots(label=label, dots=[Dot(x=gpu_hours, y=share, text=text)], slot=slot)


def _target(runs: Simulation) -> Level:
    share = runs.setting.config.sla.attainment
    return Level(y=share, label=f"target {format_share(share)}")
