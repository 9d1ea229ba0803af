"""A decision out of the journal: what was seen, each step, and what became of it."""

from pathlib import Path

from planner.api.document import sla_document
from planner.cli.decisions import (
    decision_line,
    foreseen_lines,
    gpus_line,
    moment,
    plan_document,
    step_line,
)
from planner.cli.output import print_json, print_line
from planner.core.encoding import encoded
from planner.core.explain import sight
from planner.core.plan import Plan
from planner.core.sla import Sla
from planner.core.units import format_share
from planner.errors import JournalError
from planner.journal import Entry, Journal, Record


def explain_decision(decision: int | None, path: Path, output: str) -> None:
    """Print the *decision* of that id in the journal *path*, the latest for None.

    Raises JournalError.
    """
    with Journal.read(path) as journal:
        record = _found(journal, decision)
    if output == "json":
        _print_document(record)
    else:
        _print_report(record)


def _found(journal: Journal, decision: int | None) -> Record:
    if decision is not None:
        return journal.get(decision)
    latest = journal.latest()
    if latest is None:
        raise JournalError(
            f"no decisions in {journal.path} yet",
            hint="planner run --observe --sla ttft=200ms,itl=20ms",
        )
    return latest


def _print_document(record: Record) -> None:
    entry = record.entry
    plan = plan_document(entry.plan) if entry.plan else {"decisions": []}
    print_json(
        {
            "id": record.id,
            "run": record.run,
            "mode": record.mode,
            "at": entry.at,
            "sla": sla_document(Sla.parse(record.sla)),
            **plan,
            "observation": encoded(entry.observation),
            "outcome": entry.outcome,
            "started": entry.started,
            "draining": entry.draining,
            "note": entry.note,
        }
    )


def _print_report(record: Record) -> None:
    entry = record.entry
    print_line(
        f"decision {record.id}   {moment(entry.at)}   SLA {record.sla}   planner {record.mode}"
    )
    if entry.observation is not None:
        print_line(f"saw: {sight(entry.observation)}")
    if entry.plan is not None:
        _print_plan(entry.plan)
    print_line(f"result: {_result(entry)}")


def _print_plan(plan: Plan) -> None:
    for decision in plan.decisions.values():
        print_line(decision_line(decision))
        for line in (*map(step_line, decision.steps), *foreseen_lines(decision)):
            print_line(line)
    cost = "" if plan.cost_per_hour is None else f", ${plan.cost_per_hour:.2f} per hour"
    share = "unknown" if plan.attainment is None else format_share(plan.attainment)
    print_line(f"{gpus_line(plan.gpus)}{cost}, predicted attainment {share}")


def _result(entry: Entry) -> str:
    parts = [entry.outcome or "not acted on"]
    if entry.started:
        parts.append(f"started {', '.join(entry.started)}")
    if entry.draining:
        parts.append(f"draining {', '.join(entry.draining)}")
    return "; ".join([*parts, *([entry.note] if entry.note else [])])
