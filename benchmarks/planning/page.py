"""The figures as Markdown tables, between two marks of a page."""

import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from statistics import fmean

from document import varied
from figures import (
    Mean,
    below_fixed,
    below_peers,
    by_seed,
    chosen,
    number,
    over_oracle,
    over_oracle_at_target,
    point,
)
from jobs import FIXED, ORACLE, PLANNER, Row
from loads import LOADS, TUNED

from planner.peers import PEERS

_PART = re.compile(r"(<!-- measured: planning -->\n).*?(<!-- end -->)", re.DOTALL)
_By = Mapping[str, Sequence[Row]]


def write_page(path: Path, rows: Sequence[Row], told: Mapping[str, object]) -> None:
    """Put the tables of *rows* between the marks of the page at *path*."""
    page, count = _PART.subn(lambda part: part[1] + tables(rows, told) + part[2], path.read_text())
    if not count:
        raise SystemExit(f"error: {path} has no <!-- measured: planning --> ... <!-- end -->")
    path.write_text(page)


def tables(rows: Sequence[Row], told: Mapping[str, object]) -> str:
    """Return all tables of *rows*, with the date and the commits of *told* above them."""
    by_load = {name: [row for row in rows if row["load"] == name] for name in LOADS}
    there = {name: some for name, some in by_load.items() if some}
    commits = told["commits"]
    assert isinstance(commits, list)
    parts = [
        f"Measured {told['date']} at {', '.join(commits)}.{_missing(told)}",
        _planner(there),
        _peers(there),
        _varied(there, "cold_start_seconds", _cold_start),
        _varied(there, "truth", str),
    ]
    return "\n\n".join(part for part in parts if part) + "\n"


def _missing(told: Mapping[str, object]) -> str:
    left_out = told["not_run"]
    assert isinstance(left_out, dict)
    if not left_out:
        return ""
    by_load = "; ".join(f"{load}: {', '.join(of)}" for load, of in left_out.items())
    return f" Left out for want of time, some or all runs of {by_load}. The JSON lists each."


def _planner(by: _By) -> str:
    head = (
        "load", "seeds", "planner: attainment (least)", "GPU-hours", "oracle", "planner / oracle",
        "at 99 %", "best fixed fleet", "scale actions",
    )  # fmt: skip
    return _table(head, (_planner_cells(name, rows) for name, rows in by.items()))


def _planner_cells(name: str, rows: Sequence[Row]) -> Iterable[str]:
    default = chosen(rows, policy=PLANNER, headroom=1.0)
    if not default:
        return (LOADS[name].title, LOADS[name].seen, *["-"] * 7)
    one = point(default)
    return (
        LOADS[name].title,
        f"{one.attainment.seeds}, {LOADS[name].seen}",
        f"**{_share(one.attainment)}** ({one.attainment.least:.2%})",
        _figure(one.gpu_hours),
        _reached(chosen(rows, policy=ORACLE)),
        _figure(by_seed(rows, over_oracle), 2),
        _figure(by_seed(rows, over_oracle_at_target), 2),
        _reached(chosen(rows, policy=FIXED, headroom=1.0)),
        _figure(one.scale_actions, 0),
    )


def _peers(by: _By) -> str:
    head = ("load", *PEERS, "largest lead of a peer", "of a fixed fleet")
    return _table(
        head,
        (
            (
                LOADS[name].title,
                *(_reached(chosen(rows, policy=peer, headroom=1.0)) for peer in PEERS),
                _points(by_seed(rows, below_peers)),
                _points(by_seed(rows, below_fixed)),
            )
            for name, rows in by.items()
            if name != TUNED
        ),
    )


def _varied(by: _By, what: str, name: Callable[[str], str]) -> str:
    found = {load: varied(rows, what) for load, rows in by.items()}
    tried = {load: some for load, some in found.items() if len(some) > 1}
    columns = sorted({value for some in tried.values() for value in some}, key=_by_number)
    if not columns:
        return ""
    rows = (
        (LOADS[load].title, *(_reached(some.get(value, ())) for value in columns))
        for load, some in tried.items()
    )
    return _table(("planner", *map(name, columns)), rows)


def _by_number(value: str) -> tuple[float, str]:
    return (float(value), "") if value.replace(".", "").isdigit() else (0.0, value)


def _cold_start(value: str) -> str:
    return f"cold start {float(value):g} s"


def _reached(rows: Sequence[Row]) -> str:
    """Return attainment and GPU-hours of one policy at one setting."""
    if not rows:
        return "-"
    hours = fmean([number(row, "gpu_hours") for row in rows])
    return f"{fmean([number(row, 'attainment') for row in rows]):.2%} at {hours:.1f}"


def _share(value: Mean) -> str:
    return f"{value.mean:.2%}" + ("" if value.half is None else f" ± {value.half:.2%}")


def _points(value: Mean | None) -> str:
    if value is None:
        return "-"
    half = "" if value.half is None else f" ± {100 * value.half:.2f}"
    return f"{100 * value.mean:+.2f}{half} points"


def _figure(value: Mean | None, digits: int = 1) -> str:
    if value is None:
        return "-"
    half = "" if value.half is None else f" ± {value.half:.{digits}f}"
    return f"{value.mean:.{digits}f}{half}"


def _table(head: Sequence[str], rows: Iterable[Iterable[str]]) -> str:
    lines = [f"| {' | '.join(row)} |" for row in rows]
    return "\n".join([f"| {' | '.join(head)} |", "|" + " --- |" * len(head), *lines])
