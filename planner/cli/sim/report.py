"""The report of `planner simulate`: one HTML file that needs nothing else, not even a network."""

import os
from collections.abc import Iterator
from html import escape
from pathlib import Path

from planner.api.runs import Run, Simulation
from planner.charts.theme import STYLE
from planner.cli.decisions import spares_lines
from planner.cli.output import Cell
from planner.cli.sim import plots
from planner.cli.sim.page import columns, load_line, oracle_row, row, window
from planner.cli.sim.reasons import Asked, asked
from planner.core.units import format_duration, format_share
from planner.errors import PlannerError

_MOST_CHANGES = 500
_MOST_TOGETHER = 3
"""Lines over time that can be told apart in one chart."""
_PAGE_STYLE = (
    "body{max-width:900px;margin:24px auto;padding:0 16px;font-size:14px;line-height:1.45}"
    "h1{font-size:20px}h2{font-size:16px;margin:28px 0 8px}svg{max-width:100%;height:auto}"
    "table{border-collapse:collapse;margin:12px 0}th,td{padding:3px 14px 3px 0;text-align:left}"
    "th{border-bottom:1px solid #8c959f}td.n,th.n{text-align:right}p.dim{opacity:.75;margin:4px 0}"
    "summary{cursor:pointer;margin:8px 0}.miss{color:#d55e00;font-weight:600}"
    "#tip{position:fixed;left:0;right:0;bottom:0;padding:8px 16px;background:#24292f;color:#fff;"
    "white-space:pre-wrap;font-size:13px;pointer-events:none}#tip:empty{display:none}"
)
# Browsers show titles late and lose them at every move; without scripts they still show them.
_SCRIPT = (
    "const tip=document.getElementById('tip');"
    "document.querySelectorAll('svg title').forEach(t=>{"
    "t.parentNode.dataset.tip=t.textContent;t.remove()});"
    "document.addEventListener('pointerover',e=>{"
    "tip.textContent=(e.target.dataset&&e.target.dataset.tip)||''});"
)


def write_report(path: Path, runs: Simulation) -> None:
    """Write the report of *runs* to *path*, whole or not at all; raises PlannerError."""
    unfinished = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        unfinished.write_text(page(runs), encoding="utf-8")
        unfinished.replace(path)
    except OSError as error:
        unfinished.unlink(missing_ok=True)
        raise PlannerError(f"--report {path}: {error.strerror}", hint="choose a folder of yours") \
            from error  # fmt: skip


def page(runs: Simulation) -> str:
    """Return the report of *runs* as HTML."""
    title = f"Simulation of {Path(runs.setting.trace.name).name}"
    return (
        '<!doctype html><html lang="en"><head><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width">'
        f"<title>{escape(title)}</title><style>{STYLE}{_PAGE_STYLE}</style></head>"
        f'<body class="chart"><h1>{escape(title)}</h1>{"".join(_body(runs))}'
        f'<div id="tip"></div><script>{_SCRIPT}</script></body></html>\n'
    )


def _body(runs: Simulation) -> Iterator[str]:
    yield from _paragraphs(runs)
    yield _summary(runs)
    if len(runs.runs) > 1 or runs.oracle is not None:
        yield _headed("Attainment against cost", plots.frontier(runs))
    shown = plots.shown(runs)
    each = f"by arrival, {format_duration(shown[0].figures.seconds)} windows"
    together = plots.latencies(runs, shown) if len(shown) <= _MOST_TOGETHER else []
    yield _headed(f"Requests, {each}", plots.arrivals(shown[0].figures), *together)
    yield _headed("GPUs: starting, ready and draining", plots.gpus(runs))
    for run, one in zip(runs.runs, shown, strict=True):
        alone = [] if together else plots.latencies(runs, [one])
        yield from _decisions(run, alone)


def _paragraphs(runs: Simulation) -> Iterator[str]:
    chosen = runs.setting
    scenario = chosen.scenario
    fleet = ", ".join(f"{count} {role}" for role, count in scenario.initial.items())
    hands_off = scenario.hands_off_seconds
    obeyed = f", obeyed from {format_duration(hands_off)} on" if hands_off else ""
    yield _dim(load_line(runs))
    yield _dim(f"{chosen.config.sla}, profile {chosen.profile_name}")
    yield _dim(
        f"cold start {format_duration(scenario.cold_start_seconds)}, a decision every "
        f"{format_duration(scenario.interval_seconds)}, {fleet} at the start{obeyed}"
    )
    yield _dim(f"scored: {window(runs)}; peak GPUs: the whole trace")
    yield from map(_dim, spares_lines(runs.warm_spares, runs.setting.config.bounds))


def _summary(runs: Simulation) -> str:
    rows = [row(run, runs) for run in runs.runs]
    target = runs.setting.config.sla.attainment
    missed = [run.score.attainment < target for run in runs.runs]
    if runs.oracle is not None:
        rows.append(oracle_row(runs))
        missed.append(runs.oracle.attainment < target)
    head = "".join(_cell("th", name, is_name=not place) for place, name in enumerate(columns(runs)))
    lines = (_row(cells, is_missed=miss) for cells, miss in zip(rows, missed, strict=True))
    told = f"Bold: below the target of {format_share(target)}." if any(missed) else ""
    return f"<table><tr>{head}</tr>{''.join(lines)}</table>{_dim(told) if told else ''}"


def _row(cells: list[Cell], *, is_missed: bool) -> str:
    told = "".join(
        _cell("td", "-" if cell is None else str(cell), is_name=not place,
              is_missed=is_missed and place == 1)
        for place, cell in enumerate(cells)
    )  # fmt: skip
    return f"<tr>{told}</tr>"


def _cell(tag: str, text: str, *, is_name: bool, is_missed: bool = False) -> str:
    classes = ("" if is_name else "n") + (" miss" if is_missed else "")
    return f'<{tag} class="{classes}">{escape(text)}</{tag}>'


def _decisions(run: Run, charts: list[str]) -> Iterator[str]:
    roles = list(run.result.gpus_per_replica)
    if not run.wishes:
        fleet = run.result.changes[0].fleet
        held = ", ".join(f"{fleet[role].current} {role}" for role in roles)
        yield _headed(f"Under {run.name}", *charts, _dim(f"{held}, all the time"))
        return
    replicas = (plots.replicas(run, role) for role in roles)
    yield _headed(f"Under {run.name}", *charts, *replicas)
    by_role = (asked(run, role) for role in roles)
    changes = [one for decisions in by_role for one in decisions if one.before != one.desired]
    if changes:
        changes.sort(key=lambda one: one.at)
        lines = "".join(_change(one) for one in changes[:_MOST_CHANGES])
        rest = len(changes) - _MOST_CHANGES
        left_out = _dim(f"and {rest} more") if rest > 0 else ""
        yield (
            f"<details><summary>{len(changes)} decisions that change a number</summary>"
            f"<table>{lines}</table>{left_out}</details>"
        )


def _change(one: Asked) -> str:
    cells = (format_duration(one.at), one.role, one.change, one.reason or "")
    return f"<tr>{''.join(f'<td>{escape(cell)}</td>' for cell in cells)}</tr>"


def _headed(title: str, *charts: str) -> str:
    # The page's own style sheet has what every chart brings along.
    plain = (chart.replace(f"<style>{STYLE}</style>", "", 1) for chart in charts)
    return f"<h2>{escape(title)}</h2>{''.join(plain)}"


def _dim(text: str) -> str:
    return f'<p class="dim">{escape(text)}</p>'
