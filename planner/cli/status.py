"""`planner status`: what runs here, replicas by state, and the planner's last word."""

import asyncio
import time
from pathlib import Path
from typing import TYPE_CHECKING

import click

from planner.cli.output import output_option, print_json, print_line, print_table
from planner.cli.paths import state_directory

if TYPE_CHECKING:
    from planner.cli.local.status import Status

_WATCH_SECONDS = 2.0


@click.command
@click.option("--watch", is_flag=True, help="Look again every 2 seconds until interrupted.")
@click.option("--state-dir", type=click.Path(path_type=Path), help="Folder of the deployment.")
@output_option
def command(watch: bool, state_dir: Path | None, output: str) -> int:
    """Show what runs here: replicas wanted, asked for, ready and draining; frontend; planner."""
    state = (state_dir or state_directory()).resolve()
    code = _show(state, output)
    while watch:
        time.sleep(_WATCH_SECONDS)
        if output == "table":
            click.clear()
        code = _show(state, output)
    return code


def _show(state: Path, output: str) -> int:
    from planner.cli.local.lock import is_running
    from planner.cli.local.status import look
    from planner.errors import PlannerError

    if not is_running(state):
        if output == "json":
            print_json({"running": False, "state_dir": str(state)})
            return 1
        raise PlannerError(f"no deployment runs in {state}", hint="planner serve")
    status = asyncio.run(look(state))
    if output == "json":
        print_json(_document(status, state))
    else:
        _print(status)
    return 0


def _document(status: "Status", state: Path) -> dict[str, object]:
    spec, last = status.spec, status.last
    return {
        "running": True,
        "state_dir": str(state),
        "namespace": spec.namespace,
        "store_url": spec.store_url,
        "sla": spec.sla,
        "replicas": _replicas(status),
        "problem": status.problem,
        "frontend": status.frontend,
        "last_decision": None
        if last is None
        else {
            "id": last.id,
            "at": last.entry.at,
            "mode": last.mode,
            "outcome": last.entry.outcome,
            "note": last.entry.note,
        },
    }


def _replicas(status: "Status") -> dict[str, dict[str, int | None]] | None:
    if status.fleet is None:
        return None
    return {
        role.value: {
            "desired": status.desired(role),
            "requested": replicas.current,
            "ready": replicas.ready,
            "draining": replicas.draining,
        }
        for role, replicas in status.fleet.items()
    }


def _print(status: "Status") -> None:
    print_line(_frontend_line(status))
    replicas = _replicas(status)
    if replicas is None:
        print_line(f"Replicas are unknown: {status.problem}")
    else:
        columns = ["role", "desired", "requested", "ready", "draining"]
        print_table(columns, [[role, *counts.values()] for role, counts in replicas.items()])
    print_line(_decision_line(status))


def _frontend_line(status: "Status") -> str:
    frontend = status.frontend
    if not frontend.healthy:
        return f"{frontend.url} does not answer"
    models = ", ".join(frontend.models or ()) or "no model yet"
    load = "" if frontend.in_flight is None else f"   {frontend.in_flight} requests in flight"
    queue = "" if frontend.queued is None else f", {frontend.queued} queued"
    return f"{frontend.url} serves {models}{load}{queue}"


def _decision_line(status: "Status") -> str:
    from planner.cli.decisions import change
    from planner.core.units import format_duration

    last = status.last
    if last is None:
        return "No planner has decided anything yet"
    age = format_duration(max(0.0, status.at - last.entry.at))
    plan = last.entry.plan
    told = (
        ", ".join(f"{role} {change(decision)}" for role, decision in plan.decisions.items())
        if plan
        else "nothing, the fleet is held"
    )
    outcome = last.entry.note or last.entry.outcome
    return f"Decision {last.id}, {age} ago: {told}{f' ({outcome})' if outcome else ''}"
