"""The Pareto plot in characters."""

from collections.abc import Mapping, Sequence
from itertools import cycle

from planner.core.profile import Parallelism
from planner.core.sla import Sla
from profiler.pareto import Operation

_WIDTH, _HEIGHT = 64, 14
_MARKS = "ox+*#@%"
_TARGET = "|"


def plot(operations: Sequence[Operation], *, sla: Sla) -> str:
    """Return tokens/s per GPU against tokens/s per user, a mark for each parallelism.

    The target for ITL is an upright line: what lies right of it keeps the target.
    """
    if not operations:
        return "nothing fits into the KV cache: no plot"
    widest = 1.05 * max(one.per_user for one in operations)
    highest = 1.05 * max(one.per_gpu for one in operations)
    cells = [[" "] * _WIDTH for _ in range(_HEIGHT)]
    target = None if sla.itl_seconds is None else 1 / sla.itl_seconds
    if target is not None and target < widest:
        for line in cells:
            line[int(target / widest * _WIDTH)] = _TARGET
    marks = dict(
        zip(dict.fromkeys(one.parallelism for one in operations), cycle(_MARKS), strict=False)
    )
    for one in operations:
        height = _HEIGHT - 1 - int(one.per_gpu / highest * _HEIGHT)
        cells[height][int(one.per_user / widest * _WIDTH)] = marks[one.parallelism]
    return "\n".join([_legend(marks, target), *_framed(cells, highest), *_axis(widest)])


def _legend(marks: Mapping[Parallelism, str], target: float | None) -> str:
    shown = "  ".join(f"{mark} {parallelism}" for parallelism, mark in marks.items())
    told = "" if target is None else f"  {_TARGET} itl target ({target:.0f}/s)"
    return f"tokens/s per GPU   {shown}{told}"


def _framed(cells: list[list[str]], highest: float) -> list[str]:
    lines = []
    for index, row in enumerate(cells):
        shown = f"{highest * (1 - index / _HEIGHT):>8.0f} " if index % 4 == 0 else " " * 9
        lines.append(f"{shown}|{''.join(row)}".rstrip())
    return lines


def _axis(widest: float) -> list[str]:
    parts = 4
    step = _WIDTH // parts
    ticks = "".join(f"{widest * part / parts:<{step}.0f}" for part in range(parts))
    return [" " * 9 + "+" + "-" * _WIDTH, f"{' ' * 10}{ticks}tokens/s per user"]
