"""`planner explain`: why one decision came out as it did, out of the journal."""

from pathlib import Path
from typing import TYPE_CHECKING

import click

from planner.cli.output import output_option, print_json, print_line
from planner.cli.paths import default_journal_path
from planner.errors import JournalError

if TYPE_CHECKING:
    from planner.core.observation import Observation
    from planner.core.plan import Plan
    from planner.journal import Entry, Journal, Record


@click.command()
@click.argument("decision", default="latest", metavar="[latest|ID]")
@click.option(
    "--journal", type=click.Path(path_type=Path), default=default_journal_path,
    envvar="PLANNER_JOURNAL", help="File to read; the default planner's when left out.",
)  # fmt: skip
@output_option
def command(decision: str, journal: Path, output: str) -> None:
    """Explain a decision: the latest, or the one with an ID from `planner history`."""
    from planner.journal import Journal

    if decision != "latest" and not decision.isdecimal():
        raise click.UsageError(f"{decision!r} is neither latest nor the id of a decision")
    with Journal.read(journal) as opened:
        record = _found(opened, decision)
    if output == "json":
        _print_document(record)
    else:
        _print_report(record)


def _found(journal: "Journal", decision: str) -> "Record":
    if decision != "latest":
        return journal.get(int(decision))
    latest = journal.latest()
    if latest is None:
        raise JournalError(
            f"no decisions in {journal.path} yet",
            hint="planner run --observe --sla ttft=200ms,itl=20ms",
        )
    return latest


def _print_document(record: "Record") -> None:
    from planner.cli.decisions import plan_document, sla_document
    from planner.core.encoding import encoded
    from planner.core.sla import Sla

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


def _print_report(record: "Record") -> None:
    from planner.cli.decisions import moment

    entry = record.entry
    print_line(
        f"decision {record.id}   {moment(entry.at)}   SLA {record.sla}   planner {record.mode}"
    )
    if entry.observation is not None:
        print_line(f"saw: {_sight(entry.observation)}")
    if entry.plan is not None:
        _print_plan(entry.plan)
    print_line(f"result: {_result(entry)}")


def _print_plan(plan: "Plan") -> None:
    from planner.cli.decisions import decision_line, foreseen_lines, gpus_line, step_line
    from planner.core.units import format_share

    for decision in plan.decisions.values():
        print_line(decision_line(decision))
        for line in (*map(step_line, decision.steps), *foreseen_lines(decision)):
            print_line(line)
    cost = "" if plan.cost_per_hour is None else f", ${plan.cost_per_hour:.2f} per hour"
    share = "unknown" if plan.attainment is None else format_share(plan.attainment)
    print_line(f"{gpus_line(plan.gpus)}{cost}, predicted attainment {share}")


def _sight(observation: "Observation") -> str:
    """Return what was seen, in words; what was not known is said to be so."""
    from planner.core.units import format_duration, format_rate

    parts = []
    traffic = observation.traffic
    if traffic is None or not traffic.seconds:
        parts.append("traffic unknown")
    else:
        parts.append(f"{format_rate(traffic.arrived / traffic.seconds)} arrived")
        if traffic.arrived:
            parts.append(f"{traffic.isl_sum / traffic.arrived:.0f} tokens in")
        if traffic.finished:
            parts.append(f"{traffic.osl_sum / traffic.finished:.0f} out")
    for role, fleet in observation.fleet.items():
        states = (("starting", fleet.starting), ("draining", fleet.draining))
        also = "".join(f" + {count} {state}" for state, count in states if count)
        parts.append(f"{role} {fleet.ready} ready{also}")
    return ", ".join([*parts, f"metrics {format_duration(observation.age_seconds)} old"])


def _result(entry: "Entry") -> str:
    parts = [entry.outcome or "not acted on"]
    if entry.started:
        parts.append(f"started {', '.join(entry.started)}")
    if entry.draining:
        parts.append(f"draining {', '.join(entry.draining)}")
    return "; ".join([*parts, *([entry.note] if entry.note else [])])
