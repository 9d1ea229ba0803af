"""`planner plan`: one decision now, and nothing changed."""

import asyncio
import time
from pathlib import Path
from typing import TYPE_CHECKING

import click

from planner.cli.control.options import settings_options
from planner.cli.exits import Exit
from planner.cli.output import notice, output_option, print_json, print_line

if TYPE_CHECKING:
    from collections.abc import Callable

    from connectors.circus.spec import DeploymentSpec
    from planner.cli.control.preview import Preview
    from planner.config import Effective
    from planner.core.plan import Plan
    from planner.core.sla import Sla

_WIDTH = 100
_SHOWN_FROM_SECONDS = 2.0
_KEPT = "Nothing was changed by this. A planner acts on this deployment: planner history --changed"


@click.command()
@settings_options(without=("observe", "metrics_port"))
@click.option("--window", default="2s", show_default=True, help="How long to watch the traffic.")
@click.option(
    "--detailed-exitcode", is_flag=True, help=f"End with {Exit.CHANGE_DUE:d} if a change is due."
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
    """Decide once how many replicas the deployment needs, and change nothing.

    A role is marked + where replicas would be added, - where they would be drained, and ~ where
    the load asks for another number than the one that is held.
    """
    from planner.cli.control.acting import how_to_act
    from planner.cli.control.effective import effective
    from planner.cli.control.journal import is_acted_on
    from planner.cli.control.preview import check_feasible
    from planner.core.units import format_duration, parse_duration

    seconds = parse_duration(window, what=f"--window {window}", hint="--window {}")
    settled, spec = effective({**flags, "observe": True}, config=config)
    notice(f"watching the traffic for {format_duration(seconds)}")
    found = asyncio.run(_watched(settled, spec, seconds))
    act = how_to_act(settled, spec, config=config)
    if output == "json":
        _print_document(found, act)
    else:
        _print_report(found)
    check_feasible(found)
    if output != "json":  # after it, as nobody is told to act on what cannot be met
        is_kept = act is not None and is_acted_on(settled.settings, now=time.time())
        print_line(f"\n{_KEPT if is_kept else _advice(found.plan, act)}")
    return Exit.CHANGE_DUE if detailed_exitcode and found.plan.changes else Exit.DONE


async def _watched(
    settled: "Effective", spec: "DeploymentSpec | None", seconds: float
) -> "Preview":
    from planner.cli.control.preview import preview
    from planner.cli.live.progress import countdown, shown

    if seconds <= _SHOWN_FROM_SECONDS:
        return await preview(settled.settings, spec, window=seconds)
    async with shown(countdown("watching the traffic", seconds)):
        return await preview(settled.settings, spec, window=seconds)


def _print_document(found: "Preview", act: str | None) -> None:
    from planner.api.document import sla_document
    from planner.cli.decisions import moves, plan_document

    plan = found.plan
    added, drained = moves(plan)
    print_json(
        {
            "acted": False,
            "sla": sla_document(found.sla),
            "metrics_age_seconds": found.observation.age_seconds,
            **plan_document(plan),
            "changes": {"add": added, "drain": drained},
            "cost_per_hour": {"current": plan.current_cost_per_hour, "desired": plan.cost_per_hour},
            "attainment": {"current": plan.current_attainment, "predicted": plan.attainment},
            "to_act": act,
        }
    )


def _print_report(found: "Preview") -> None:
    from planner.api.spares import warm_spares
    from planner.cli.decisions import decision_line, foreseen_lines, spares_lines
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
    for line in _summary(found.plan):
        print_line(line)


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


def _summary(plan: "Plan") -> tuple[str, str]:
    """Return what the plan comes to: GPUs, cost and attainment, and the number of changes."""
    from planner.cli.decisions import gpus_line, moves
    from planner.core.units import format_share

    added, drained = moves(plan)
    cost = _move(plan.current_cost_per_hour, plan.cost_per_hour, lambda value: f"${value:.2f}")
    share = _move(plan.current_attainment, plan.attainment, format_share)
    return (
        gpus_line(plan.gpus)
        + (f", {cost} per hour" if cost else "")
        + (f", predicted attainment {share}" if share else ""),
        f"Plan: {added} to add, {drained} to drain.",
    )


def _move(before: float | None, after: float | None, write: "Callable[[float], str]") -> str:
    """Return "97.1% -> 99.4%", one of them where they are equal, nothing where one is unknown."""
    if before is None or after is None:
        return ""
    old, new = write(before), write(after)
    return new if old == new else f"{old} -> {new}"


def _advice(plan: "Plan", act: str | None) -> str:
    if act is None:
        return (
            "Nothing was changed, and planner cannot act here: it did not start these replicas.\n"
            "What it starts itself, it also scales: planner serve, or planner run --fleet FILE"
        )
    return f"Nothing was changed. To {'act' if plan.changes else 'keep it so'}: {act}"
