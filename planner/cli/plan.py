"""`planner plan`: one decision now, and nothing changed."""

import asyncio
from pathlib import Path
from typing import TYPE_CHECKING

import click

from planner.cli.control.options import settings_options
from planner.cli.output import notice, output_option, print_json, print_line

if TYPE_CHECKING:
    from collections.abc import Callable

    from planner.cli.control.preview import Preview
    from planner.core.plan import Plan
    from planner.core.sla import Sla

CHANGE_DUE = 10
_WIDTH = 100


@click.command()
@settings_options(without=("observe", "metrics_port"))
@click.option("--window", default="2s", show_default=True, help="How long to watch the traffic.")
@click.option(
    "--detailed-exitcode", is_flag=True, help=f"End with {CHANGE_DUE} if a change is due."
)
@output_option
def command(
    *,
    config: Path | None,
    window: str,
    detailed_exitcode: bool,
    output: str,
    **flags: object,
) -> int:
    """Decide once how many replicas the deployment needs, and change nothing."""
    from planner.cli.control.effective import effective
    from planner.cli.control.preview import check_feasible, preview
    from planner.core.units import format_duration, parse_duration

    seconds = parse_duration(window, what=f"--window {window}", hint="--window {}")
    settled, spec = effective({**flags, "observe": True}, config=config)
    notice(f"watching the traffic for {format_duration(seconds)}")
    found = asyncio.run(preview(settled.settings, spec, window=seconds))
    if output == "json":
        _print_document(found)
    else:
        _print_report(found)
    check_feasible(found)
    return CHANGE_DUE if detailed_exitcode and found.plan.changes else 0


def _print_document(found: "Preview") -> None:
    from planner.cli.decisions import plan_document, sla_document

    plan = found.plan
    print_json(
        {
            "acted": False,
            "sla": sla_document(found.sla),
            "metrics_age_seconds": found.observation.age_seconds,
            **plan_document(plan),
            "cost_per_hour": {"current": plan.current_cost_per_hour, "desired": plan.cost_per_hour},
            "attainment": {"current": plan.current_attainment, "predicted": plan.attainment},
        }
    )


def _print_report(found: "Preview") -> None:
    from planner.cli.decisions import decision_line, foreseen_lines, spares_lines, warm_spares
    from planner.core.explain import explain
    from planner.core.units import format_duration

    age = format_duration(found.observation.age_seconds)
    _print_pair(f"SLA   {_in_words(found.sla)}", f"{_model(found)}metrics {age} old")
    for decision in found.plan.decisions.values():
        _print_pair(decision_line(decision), explain(decision))
        for line in foreseen_lines(decision):
            print_line(line)
    decisions = found.plan.decisions.items()
    spares = {role: step for role, one in decisions if (step := warm_spares(one))}
    for line in spares_lines(spares, found.policy.config.bounds):
        print_line(line)
    print_line(_summary(found.plan))
    print_line(f"Nothing was changed. To act: planner run --sla {found.sla}")


def _print_pair(first: str, second: str) -> None:
    """Print both in one line where they fit."""
    fits = len(first) + len(second) + 3 <= _WIDTH
    print_line(f"{first}   {second}" if fits else f"{first}\n      {second}")


def _in_words(sla: "Sla") -> str:
    from planner.core.units import format_duration, format_share

    targets = {"ttft": sla.ttft_seconds, "itl": sla.itl_seconds}
    parts = [f"{name} <= {format_duration(limit)}" for name, limit in targets.items() if limit]
    return f"{format_share(sla.attainment)} of requests with {' and '.join(parts)}"


def _model(found: "Preview") -> str:
    return f"model {found.policy.profile.model}   " if found.policy.profile else ""


def _summary(plan: "Plan") -> str:
    from planner.cli.decisions import gpus_line
    from planner.core.units import format_share

    changes = [decision.desired - decision.current for decision in plan.decisions.values()]
    added, removed = (sum(max(0, sign * change) for change in changes) for sign in (1, -1))
    cost = _move(plan.current_cost_per_hour, plan.cost_per_hour, lambda value: f"${value:.2f}")
    share = _move(plan.current_attainment, plan.attainment, format_share)
    return (
        f"Plan: {added} to add, {removed} to remove, {gpus_line(plan.gpus)}"
        + (f", {cost} per hour" if cost else "")
        + (f", predicted attainment {share}." if share else ".")
    )


def _move(before: float | None, after: float | None, write: "Callable[[float], str]") -> str:
    """Return "97.1% -> 99.4%", one of them where they are equal, nothing where one is unknown."""
    if before is None or after is None:
        return ""
    old, new = write(before), write(after)
    return new if old == new else f"{old} -> {new}"
